import type {ByteString} from './byte-string.js';
import {dayOfYear, type GoTime, localDate, MONTHS, nanosecond, WEEKDAYS} from './calendar.js';

/** Elements of a layout, the longer before those they begin with; `.000` and `.999` stand for fractions. */
const ELEMENT =
  /January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|2006|__2|_2006|_2|002|01|02|03|04|05|06|15|Z070000|Z07:00:00|Z0700|Z07:00|Z07|-070000|-07:00:00|-0700|-07:00|-07|PM|pm|[.,](?:0+|9+)(?!\d)|1|2|3|4|5/g;

const two = (n: number): string => String(n).padStart(2, '0');

/** time.Time.Format: the layout is the reference time, Mon Jan 2 15:04:05 MST 2006. */
export function formatTime(time: GoTime, layout: ByteString): ByteString {
  const date = localDate(time);
  const hour12 = date.getUTCHours() % 12 || 12;
  return layout.replace(ELEMENT, element => {
    switch (element) {
      case 'January':
        return MONTHS[date.getUTCMonth()]!;
      case 'Jan':
        return MONTHS[date.getUTCMonth()]!.slice(0, 3);
      case 'Monday':
        return WEEKDAYS[date.getUTCDay()]!;
      case 'Mon':
        return WEEKDAYS[date.getUTCDay()]!.slice(0, 3);
      case 'MST':
        return time.offset === undefined ? 'UTC' : zoneName(time.offset);
      case '2006':
        return year(date);
      case '_2006':
        return `_${year(date)}`;
      case '06':
        return two(date.getUTCFullYear() % 100);
      case '01':
        return two(date.getUTCMonth() + 1);
      case '1':
        return String(date.getUTCMonth() + 1);
      case '02':
        return two(date.getUTCDate());
      case '_2':
        return String(date.getUTCDate()).padStart(2);
      case '2':
        return String(date.getUTCDate());
      case '002':
        return String(dayOfYear(date)).padStart(3, '0');
      case '__2':
        return String(dayOfYear(date)).padStart(3);
      case '15':
        return two(date.getUTCHours());
      case '03':
        return two(hour12);
      case '3':
        return String(hour12);
      case '04':
        return two(date.getUTCMinutes());
      case '4':
        return String(date.getUTCMinutes());
      case '05':
        return two(date.getUTCSeconds());
      case '5':
        return String(date.getUTCSeconds());
      case 'PM':
        return date.getUTCHours() >= 12 ? 'PM' : 'AM';
      case 'pm':
        return date.getUTCHours() >= 12 ? 'pm' : 'am';
    }
    if (element.startsWith('.') || element.startsWith(',')) return fraction(nanosecond(time), element);
    return zone(time.offset ?? 0, element);
  });
}

const year = (date: Date): string => String(date.getUTCFullYear()).padStart(4, '0');

/** A zone without a name is printed as its offset. */
const zoneName = (offset: number): string => zone(offset, '-0700');

/** `.000` always has its digits, `.999` drops trailing zeros and itself if nothing is left. */
function fraction(nanoseconds: number, element: string): string {
  const digits = String(nanoseconds)
    .padStart(9, '0')
    .slice(0, element.length - 1)
    .padEnd(element.length - 1, '0');
  if (element[1] === '0') return element[0] + digits;
  const kept = digits.replace(/0+$/, '');
  return kept === '' ? '' : element[0] + kept;
}

function zone(offset: number, element: string): string {
  if (element.startsWith('Z') && offset === 0) return 'Z';
  const size = Math.abs(offset);
  const colon = element.includes(':') ? ':' : '';
  const parts = [Math.floor(size / 3600), Math.floor(size / 60) % 60, size % 60];
  // 3 characters: hours; 5 or 6: minutes too; more: seconds.
  const count = element.length === 3 ? 1 : element.length <= 6 ? 2 : 3;
  return (offset < 0 ? '-' : '+') + parts.slice(0, count).map(two).join(colon);
}
