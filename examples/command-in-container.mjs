// Runs commands in a container beside its program, which may have been started by another process.
// Run: node examples/command-in-container.mjs
import {Container, Image} from 'coracle';

await Image.hostShell();
const container = await Container.run('host-shell', {command: ['sleep', '60']});
try {
  const {exitCode, stdout} = await container.capture(['sh', '-c', 'echo one >/tmp/file; ls /tmp']);
  console.log({exitCode, stdout});

  const sorted = await container.exec(['sort'], {stdin: {text: 'b\na\n'}, deadlineMs: 5000});
  for await (const {stream, bytes} of sorted.output()) process[stream].write(bytes);
  console.log((await sorted.exit).cause);
} finally {
  await container[Symbol.asyncDispose]();
}
