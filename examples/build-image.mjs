// Builds an image of a Dockerfile that is text in this program, and runs it.
// Run: node examples/build-image.mjs
import {Readable} from 'node:stream';
import {Container, Image} from 'coracle';

const dockerfile = `FROM host-shell
ARG WHO=world
RUN echo "hello $WHO" >/greeting
CMD ["cat", "/greeting"]
`;

const image = await Image.build(Readable.from([Buffer.from(dockerfile)]), {
  tags: ['example-greeting'],
  buildArgs: {WHO: 'Coracle'},
  network: 'none',
});
const greeting = await Container.run('example-greeting');
for await (const {bytes} of greeting.output()) process.stdout.write(bytes);
await greeting.settled;
await image.remove({force: true});
