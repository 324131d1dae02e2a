import { prettyFactory } from 'pino-pretty';

const LEVEL_NAMES: Readonly<Record<number, string>> = {
  10: 'TRACE',
  20: 'DEBUG',
  30: 'INFO',
  40: 'WARN',
  50: 'ERROR',
  60: 'FATAL',
};
/** Codes of foreground colours, as terminals take them. */
const COLOURS = { red: 31, yellow: 33, cyan: 36, grey: 90 } as const;

const WARN = 40;
const ERROR = 50;

/** Room for the name of a process, so that messages of all processes begin below each other. */
const NAME_CHARS = 'speech-encoder-2'.length;

/**
 * Returns a function that turns a JSON line into one for people: `12:34:56 gateway-2        [INFO]
 * message`, and what else the line holds. In colour, warnings are yellow and errors red.
 */
export function prettyLine(isColoured: boolean): (line: string) => string {
  const inColour = (colour: keyof typeof COLOURS, text: string) =>
    isColoured ? `\u001b[${COLOURS[colour]}m${text}\u001b[39m` : text;
  return prettyFactory({
    // The library's own colours would be those of whole messages.
    colorize: false,
    ignore: 'level,time,pid,hostname,role,process',
    singleLine: true,
    messageFormat: (fields, messageKey) => {
      const level = Number(fields['level']);
      const text = `[${LEVEL_NAMES[level] ?? level}] ${String(fields[messageKey] ?? '')}`;
      const message =
        level >= ERROR ? inColour('red', text) : level >= WARN ? inColour('yellow', text) : text;
      const role = String(fields['process'] ?? fields['role'] ?? '').padEnd(NAME_CHARS);
      return `${inColour('grey', timeOf(Number(fields['time'])))} ${inColour('cyan', role)} ${message}`;
    },
  });
}

/** Tells whether lines are for a terminal whose user has not asked for plain text. */
export function wantsColour(
  isTerminal: boolean,
  env: Readonly<Record<string, string | undefined>>,
): boolean {
  return isTerminal && !env['NO_COLOR'] && env['TERM'] !== 'dumb';
}

/** Writes the local time of day. */
function timeOf(ms: number): string {
  const time = new Date(ms);
  return [time.getHours(), time.getMinutes(), time.getSeconds()]
    .map((part) => String(part).padStart(2, '0'))
    .join(':');
}
