/** The `coracle` command from its sources: what the tests here start as a process of its own. */
import {main} from '../../src/cli/main.js';

await main();
