import test from 'ava';
import {quiesceOrder, type User} from '../../../src/sidecar/quiesce/order.js';

const user = (id: string, second: string, facts: Partial<User> = {}): User => ({
  id,
  startedAt: `2026-01-01T00:00:${second}Z`,
  order: 0,
  dependsOn: [],
  ...facts,
});

const sorts = test.macro({
  exec(t, users: readonly User[], expected: string) {
    t.is(
      quiesceOrder(users)
        .map(({id}) => id)
        .join(' '),
      expected,
    );
  },
  title: (_, ...[, expected]) => `containers are held in the order ${expected}`,
});

const [db, web, proxy] = [user('db', '01.5'), user('web', '02'), user('proxy', '03')] as const;
test(sorts, [db, web, proxy], 'proxy web db');
test('a fraction of a second counts as one, however long it is', t => {
  const ids = ['01', '01.1', '01.12', '01.2'].map(second => user(second, second));
  t.deepEqual(
    quiesceOrder(ids).map(({id}) => id),
    ['01.2', '01.12', '01.1', '01'],
  );
});
test('dependents come before what they depend on, whenever they were started', t => {
  const late = user('late-db', '09');
  const front = user('front', '01', {dependsOn: ['late-db']});
  const edge = user('edge', '00', {dependsOn: ['front']});
  t.deepEqual(
    quiesceOrder([late, front, edge]).map(({id}) => id),
    ['edge', 'front', 'late-db'],
  );
});
test('a label decides before that', t => {
  const first = user('first', '01', {order: -1});
  const last = user('last', '09', {order: 2, dependsOn: ['first']});
  t.deepEqual(
    quiesceOrder([last, web, first]).map(({id}) => id),
    ['first', 'web', 'last'],
  );
});
test('a circle is as good as no dependence', t => {
  const a = user('a', '01', {dependsOn: ['b']});
  const b = user('b', '02', {dependsOn: ['a']});
  t.deepEqual(
    quiesceOrder([a, b]).map(({id}) => id),
    ['b', 'a'],
  );
});
