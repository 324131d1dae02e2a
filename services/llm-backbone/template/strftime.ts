const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];
const DAY_MS = 86_400_000;

type Directive = (date: Date) => string;

const padded = (value: number, width = 2, fill = '0') => String(value).padStart(width, fill);
const dayName = (date: Date) => DAYS[date.getDay()] ?? '';
const monthName = (date: Date) => MONTHS[date.getMonth()] ?? '';
const hour12 = (date: Date) => date.getHours() % 12 || 12;

/** Directives of C's strftime in the "C" locale, local time; `%f` is Python's. */
const DIRECTIVES: ReadonlyMap<string, Directive> = new Map<string, Directive>([
  ['a', (date) => dayName(date).slice(0, 3)],
  ['A', dayName],
  ['b', (date) => monthName(date).slice(0, 3)],
  ['h', (date) => monthName(date).slice(0, 3)],
  ['B', monthName],
  ['c', (date) => strftime(date, '%a %b %e %H:%M:%S %Y')],
  ['C', (date) => padded(Math.floor(date.getFullYear() / 100))],
  ['d', (date) => padded(date.getDate())],
  ['D', (date) => strftime(date, '%m/%d/%y')],
  ['e', (date) => padded(date.getDate(), 2, ' ')],
  ['f', (date) => padded(date.getMilliseconds() * 1000, 6)],
  ['F', (date) => strftime(date, '%Y-%m-%d')],
  ['G', (date) => String(isoWeek(date).year)],
  ['g', (date) => padded(isoWeek(date).year % 100)],
  ['H', (date) => padded(date.getHours())],
  ['I', (date) => padded(hour12(date))],
  ['j', (date) => padded(dayOfYear(date) + 1, 3)],
  ['k', (date) => padded(date.getHours(), 2, ' ')],
  ['l', (date) => padded(hour12(date), 2, ' ')],
  ['m', (date) => padded(date.getMonth() + 1)],
  ['M', (date) => padded(date.getMinutes())],
  ['n', () => '\n'],
  ['p', (date) => (date.getHours() < 12 ? 'AM' : 'PM')],
  ['P', (date) => (date.getHours() < 12 ? 'am' : 'pm')],
  ['r', (date) => strftime(date, '%I:%M:%S %p')],
  ['R', (date) => strftime(date, '%H:%M')],
  ['s', (date) => String(Math.floor(date.getTime() / 1000))],
  ['S', (date) => padded(date.getSeconds())],
  ['t', () => '\t'],
  ['T', (date) => strftime(date, '%H:%M:%S')],
  ['u', (date) => String(date.getDay() || 7)],
  ['U', (date) => padded(Math.floor((dayOfYear(date) + 7 - date.getDay()) / 7))],
  ['V', (date) => padded(isoWeek(date).week)],
  ['w', (date) => String(date.getDay())],
  ['W', (date) => padded(Math.floor((dayOfYear(date) + 7 - ((date.getDay() + 6) % 7)) / 7))],
  ['x', (date) => strftime(date, '%m/%d/%y')],
  ['X', (date) => strftime(date, '%H:%M:%S')],
  ['y', (date) => padded(date.getFullYear() % 100)],
  ['Y', (date) => String(date.getFullYear())],
  // Python's `datetime.now()` knows no time zone and writes nothing for it.
  ['z', () => ''],
  ['Z', () => ''],
  ['%', () => '%'],
]);

/** Writes a date as Python's `strftime`; throws on a directive that it does not know. */
export function strftime(date: Date, format: string): string {
  return format.replace(/%([-_0^#]?)([\s\S]|$)/g, (all, flag: string, name: string) => {
    const directive = DIRECTIVES.get(name);
    if (directive === undefined) throw new SyntaxError(`strftime: "${all}" is not supported`);
    return flagged(directive(date), flag);
  });
}

/** Applies a flag of glibc: no padding, spaces, zeros, upper case or the other case. */
function flagged(text: string, flag: string): string {
  switch (flag) {
    case '-':
      return text.replace(/^[0 ]+(?=.)/, '');
    case '_':
      return text.replace(/^0+(?=.)/, (zeros) => ' '.repeat(zeros.length));
    case '0':
      return text.replace(/^ +/, (spaces) => '0'.repeat(spaces.length));
    case '^':
      return text.toUpperCase();
    case '#':
      throw new SyntaxError('strftime: the flag "#" is not supported');
    default:
      return text;
  }
}

/** Returns a date's day without its time, in days. */
function dayNumber(date: Date): number {
  return Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) / DAY_MS;
}

function dayOfYear(date: Date): number {
  return dayNumber(date) - Date.UTC(date.getFullYear(), 0, 1) / DAY_MS;
}

/** The ISO week belongs to the year of its Thursday. */
function isoWeek(date: Date): { readonly year: number; readonly week: number } {
  const thursday = dayNumber(date) - ((date.getDay() + 6) % 7) + 3;
  const year = new Date(thursday * DAY_MS).getUTCFullYear();
  const week = 1 + Math.floor((thursday - Date.UTC(year, 0, 1) / DAY_MS) / 7);
  return { year, week };
}
