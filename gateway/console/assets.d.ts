// Files that the build copies; an import of one is its URL.
declare module '*.png' {
  const url: string;
  export default url;
}
declare module '*.wav' {
  const url: string;
  export default url;
}
declare module '*.css' {}
