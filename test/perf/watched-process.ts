// A process that is watched for `npm run bench -- watch`: its load changes all the time. It tells its
// parent its address and, when asked, its CPU time.
import { IDLE, ScriptedInstance, statusOf } from '#test/scripted-instance.ts';

const CHANGE_MS = 10;

const load = { ...IDLE };
const instance = await new ScriptedInstance({ status: statusOf({}, { load }) }).start();
setInterval(() => {
  load.numRunning += 1;
}, CHANGE_MS);
process.send?.(instance.address);
process.on('message', () => process.send?.(process.cpuUsage()));
process.on('disconnect', () => process.exit());
