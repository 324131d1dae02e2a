/** Flags with which Node runs the TypeScript sources as they stand, without compiling them first. */
export const SOURCE_FLAGS = ['--conditions=source', '--import', 'tsx'];
