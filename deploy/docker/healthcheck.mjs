// Exit status 0 if the gateway of this container lives, for a container's health check. Imports
// nothing, so that it costs little each time. AUTOGLM_PORT says the port if it is not 8000.
const port = process.env.AUTOGLM_PORT ?? '8000';
try {
  const answer = await fetch(`http://127.0.0.1:${port}/livez`, {
    signal: AbortSignal.timeout(4000),
  });
  if (!answer.ok) throw new Error(`status ${answer.status}`);
} catch (error) {
  process.stderr.write(`/livez on port ${port}: ${error.cause?.message ?? error.message}\n`);
  process.exitCode = 1;
}
