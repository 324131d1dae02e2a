/** Flags with which Node runs the TypeScript sources directly, without compiling them first. */
export const SOURCE_FLAGS = ['--conditions=source', '--import', 'tsx'];
