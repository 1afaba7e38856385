import {ABIS, type Abi, type AbiName} from './abis.js';
import {SYSCALL_TABLES} from './syscall-tables.js';

// A table is read when its ABI is first asked for: most programs never need three of the five.
const read = new Map<AbiName, ReadonlyMap<string, number>>();

/** The number of a system call, with x32's bit where it belongs; undefined where the ABI has no such call. */
export function syscallNumber(abi: Abi, name: string): number | undefined {
  const number = numbersOf(abi.name).get(name);
  return number === undefined ? undefined : number + abi.numberBase;
}

/**
 * The name of the system call that a filter refused, for the words about a cause of death.
 * @param auditArchitecture `si_arch` of the SIGSYS, or `arch=` of the audit record, as a number (0xc000003e = x86-64)
 * @param number `si_syscall`, or `syscall=`; x32's with bit 30 set
 * @returns the name, or `syscall 999` where the tables have none
 */
export function explainSeccompDenial(auditArchitecture: number, number: number): string {
  const unsigned = number >>> 0;
  const abi = Object.values(ABIS)
    .filter(each => each.auditArchitecture === auditArchitecture >>> 0 && each.numberBase <= unsigned)
    .sort((one, other) => other.numberBase - one.numberBase)[0];
  if (abi === undefined) return `syscall ${number}`;
  for (const [name, each] of numbersOf(abi.name)) if (each + abi.numberBase === unsigned) return name;
  return `syscall ${number}`;
}

function numbersOf(abi: AbiName): ReadonlyMap<string, number> {
  const known = read.get(abi);
  if (known !== undefined) return known;
  const numbers = readTable(SYSCALL_TABLES[abi]);
  read.set(abi, numbers);
  return numbers;
}

function readTable(table: string): Map<string, number> {
  const numbers = new Map<string, number>();
  let next = 0;
  for (const word of table.trim().split(/\s+/)) {
    // A word is a number or a name, and no name starts with a digit.
    if (word <= '9~') {
      next = Number(word);
    } else {
      numbers.set(word, next);
      next += 1;
    }
  }
  return numbers;
}
