/**
 * A program that runs a container and prints what it sees, and what this program itself was started with: compared between
 * programs that were started in different ways. Arguments: the root and the run-time directory.
 */
import {readFileSync} from 'node:fs';
import {Container, Runtime} from '../../src/index.js';

const [root, run] = process.argv.slice(2);
const runtime = await Runtime.open({root: root!, run: run!});
const script = `
  cat /proc/self/status /proc/self/limits /proc/self/oom_score_adj /proc/self/personality /proc/self/coredump_filter
  cut -d ' ' -f 18-19,40-41 /proc/self/stat
  umask
  ls -l /proc/self/fd | sed 's/.* \\([0-9]* -> \\)/\\1/; s/[0-9]\\{3,\\}/N/; /^total/d'
  cat /proc/timer_list | head -1; cat /proc/keys | wc -l; cat /proc/self/attr/current 2>/dev/null
  env | grep -v ^HOSTNAME=; pwd; ls -l /proc/self/cwd /proc/self/root | sed 's/.*-> //'`;
const container = await Container.run('host-shell', {command: ['sh', '-c', script]}, {runtime});
const {lastOutput} = await container.exit;
await runtime.close();
const own = readFileSync('/proc/self/status', 'utf8') + readFileSync('/proc/self/limits', 'utf8');
const nice = readFileSync('/proc/self/stat', 'latin1').split(') ')[1]!.split(' ')[16];
const oomScoreAdj = readFileSync('/proc/self/oom_score_adj', 'utf8');
console.log(JSON.stringify({inside: lastOutput.stdout, own: `${own}nice ${nice}\noom ${oomScoreAdj}`}));
