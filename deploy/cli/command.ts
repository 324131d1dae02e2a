/** One subcommand of `autoglm`. */
export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** Returns the text that `--help` prints. */
  help(): string;
  /** Runs the subcommand; resolves to the exit status. */
  run(args: readonly string[]): Promise<number>;
}

export function asksForHelp(args: readonly string[]): boolean {
  return args.includes('--help') || args.includes('-h');
}
