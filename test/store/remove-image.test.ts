import test from 'ava';
import type {Digest} from '../../src/oci/index.js';
import {type ImageUse, planRemoval, type RemovalOptions} from '../../src/store/remove-image.js';

const idOf = (digit: string): Digest => `sha256:${digit.repeat(64)}`;
const [id, parent, grandparent] = [idOf('a'), idOf('b'), idOf('c')];
const digest = `docker.io/library/app@sha256:${'d'.repeat(64)}`;
const [one, two, foreign] = ['docker.io/library/app:1', 'docker.io/library/app:2', 'quay.io:88/app:1'];
const stopped = {containerId: 'e'.repeat(64), running: false};
const running = {containerId: 'f'.repeat(64), running: true};

interface World {
  readonly names?: readonly string[];
  /** Which images the parent and the grandparent have besides. */
  readonly sibling?: boolean;
  readonly parentNames?: readonly string[];
  readonly child?: boolean;
  readonly used?: ImageUse;
  readonly parentUsed?: ImageUse;
}

function remove(world: World, name: string | undefined, options: Partial<RemovalOptions> = {}) {
  const parents = new Map<Digest, Digest>([
    [id, parent],
    [parent, grandparent],
    ...(world.sibling ? ([[idOf('1'), parent]] as const) : []),
    ...(world.child ? ([[idOf('2'), id]] as const) : []),
  ]);
  return planRemoval(
    {asked: name === undefined ? 'aaaa' : 'app:1', id, name},
    {
      namesOf: of => (of === id ? (world.names ?? [one]) : of === parent ? (world.parentNames ?? []) : []),
      parentOf: of => parents.get(of),
      childrenOf: of => [...parents].filter(([, other]) => other === of).map(([child]) => child),
    },
    {
      force: false,
      keepParents: false,
      use: of => (of === id ? world.used : of === parent ? world.parentUsed : undefined),
      ...options,
    },
  );
}

const removes = test.macro(
  (
    t,
    [world, name, options]: Parameters<typeof remove>,
    untagged: readonly string[],
    images: readonly Digest[],
  ) => t.deepEqual(remove(world, name, options), {untagged, images}),
);
const whole = [id, parent, grandparent];

test('the last name takes the image along, and what it was made from', removes, [{}, one], [one], whole);
test('one name of several is all that goes', removes, [{names: [one, two]}, one], [one], []);
test(
  'with the last tag of a repository its digests go',
  removes,
  [{names: [one, digest]}, one],
  [one, digest],
  whole,
);
test('a digest stays with another tag', removes, [{names: [one, two, digest]}, one], [one], []);
test('a digest goes alone', removes, [{names: [one, digest]}, digest], [digest], []);
test(
  'an id stands for a tag and its digests',
  removes,
  [{names: [one, digest]}, undefined],
  [one, digest],
  whole,
);
test(
  'force takes all names',
  removes,
  [{names: [one, foreign]}, undefined, {force: true}],
  [one, foreign],
  whole,
);
test('parents stay when they are to', removes, [{}, one, {keepParents: true}], [one], [id]);
test('a parent with a name stays', removes, [{parentNames: [two]}, one], [one], [id]);
test('a parent with another child stays', removes, [{sibling: true}, one], [one], [id]);
test('a parent with a container stays', removes, [{parentUsed: stopped}, one], [one], [id]);
test(
  'one name of several goes from under a container',
  removes,
  [{names: [one, two], used: running}, one],
  [one],
  [],
);
test(
  'force takes the last name from under a container that runs, and leaves the image',
  removes,
  [{used: running}, one, {force: true}],
  [one],
  [],
);
test(
  'force takes the image from under a container that does not run',
  removes,
  [{used: stopped}, one, {force: true}],
  [one],
  whole,
);
test('the last name of an image with children leaves it nameless', removes, [{child: true}, one], [one], []);

const refuses = test.macro({
  exec(t, [world, name, options]: Parameters<typeof remove>, message: string) {
    t.throws(() => remove(world, name, options), {
      code: 'ERR_IMAGE_IN_USE',
      message: `conflict: unable to ${message}`,
    });
  },
  title: (_, __, message) => `says: ${message}`,
});
const force = {force: true};

test(
  refuses,
  [{used: stopped}, one],
  'remove repository reference "app:1" (must force) - container eeeeeeeeeeee is using its referenced image aaaaaaaaaaaa',
);
test(
  refuses,
  [{used: stopped}, undefined],
  'delete aaaaaaaaaaaa (must be forced) - image is being used by stopped container eeeeeeeeeeee',
);
test(
  refuses,
  [{used: running}, undefined, force],
  'delete aaaaaaaaaaaa (cannot be forced) - image is being used by running container ffffffffffff',
);
test(
  refuses,
  [{names: [one, two]}, undefined],
  'delete aaaaaaaaaaaa (must be forced) - image is referenced in multiple repositories',
);
test(
  refuses,
  [{child: true}, undefined, force],
  'delete aaaaaaaaaaaa (cannot be forced) - image has dependent child images',
);
