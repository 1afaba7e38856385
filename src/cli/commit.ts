import type {Call, Command, Context} from './command.js';

export const command: Command = {
  name: 'commit',
  usage: '[OPTIONS] CONTAINER [REPOSITORY[:TAG]]',
  summary: "Create a new image from a container's changes",
  aliases: ['container commit'],
  flags: [
    {
      name: 'author',
      short: 'a',
      type: 'string',
      summary: 'Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")',
    },
    {name: 'change', short: 'c', type: 'list', summary: 'Apply Dockerfile instruction to the created image'},
    {name: 'message', short: 'm', type: 'string', summary: 'Commit message'},
    {name: 'pause', short: 'p', summary: 'Pause container during commit (default true)'},
  ],
  least: 1,
  most: 2,
  flagsFirst: true,
  examples: [
    'coracle commit db my/db:filled',
    `coracle commit --change 'CMD ["server"]' --message "with certificates" web my/web:2`,
    'coracle commit --pause=false busy',
  ],
  isLongWork: true,
  run,
};

async function run(call: Call, {sdk, stdout}: Context): Promise<number> {
  const [container = '', reference] = call.words;
  const author = call.value('author');
  const message = call.value('message');
  const id = await (await sdk()).commit(container, {
    ...(reference !== undefined && {reference}),
    ...(author !== undefined && {author}),
    ...(message !== undefined && {message}),
    changes: call.values('change'),
    pause: call.value('pause') === undefined || call.has('pause'),
  });
  stdout.write(`${id}\n`);
  return 0;
}
