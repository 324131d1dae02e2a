// A reporter of node:test that writes a line for each test: how it ended, and its file.
export default async function* testResults(events) {
  for await (const { type, data } of events) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    // A suite counts where it failed by itself, as in a hook.
    if (type === 'test:pass' && data.details?.type === 'suite') continue;
    const isSkipped = data.skip !== undefined || data.todo !== undefined;
    const outcome = type === 'test:fail' ? 'failed' : isSkipped ? 'skipped' : 'passed';
    yield `${outcome} ${data.file ?? data.name}\n`;
  }
}
