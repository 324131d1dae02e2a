// A reporter of node:test that writes a line for each failed test: its file.
export default async function* failedFiles(events) {
  for await (const { type, data } of events) {
    if (type === 'test:fail') yield `${data.file ?? data.name}\n`;
  }
}
