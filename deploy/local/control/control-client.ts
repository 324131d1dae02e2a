import { createConnection } from 'node:net';
import { createInterface } from 'node:readline';
import Value from 'typebox/value';
import { errorMessage } from '#mesh/error-message.ts';
import { MeshError } from '#mesh/errors.ts';
import {
  answerSchema,
  type ControlAnswer,
  type ControlRequest,
  type ProcessReport,
} from './control-protocol.ts';

export interface ControlCall {
  /** Path of the supervisor's socket. */
  readonly path: string;
  /** Called with what the supervisor says meanwhile. */
  readonly onProgress?: (text: string) => void;
  readonly signal?: AbortSignal;
}

/** Sends a command to a supervisor; resolves to the processes of its mesh after that. */
export async function callSupervisor(
  request: ControlRequest,
  { path, onProgress = () => {}, signal }: ControlCall,
): Promise<readonly ProcessReport[]> {
  const socket = createConnection({ path, signal });
  const failed = new Promise<never>((_, reject) => {
    socket.once('error', (cause) => reject(notReached(cause)));
  });
  const answered = lastAnswer(createInterface({ input: socket }), onProgress);
  socket.write(`${JSON.stringify(request)}\n`);
  try {
    return await Promise.race([answered, failed]);
  } finally {
    socket.destroy();
  }
}

async function lastAnswer(
  lines: AsyncIterable<string>,
  onProgress: (text: string) => void,
): Promise<readonly ProcessReport[]> {
  for await (const line of lines) {
    const answer = readAnswer(line);
    if (answer.kind === 'done') return answer.processes;
    if (answer.kind === 'refused') throw new MeshError('INVALID_REQUEST', answer.message);
    onProgress(answer.text);
  }
  throw new MeshError('NO_READY_ENDPOINT', 'the supervisor ended before the command had');
}

function readAnswer(line: string): ControlAnswer {
  const answer: unknown = JSON.parse(line);
  if (Value.Check(answerSchema, answer)) return answer;
  const message = 'the supervisor speaks of something else; its version may differ from this one';
  throw new MeshError('NO_READY_ENDPOINT', message);
}

function notReached(cause: unknown): MeshError {
  const why = errorMessage(cause);
  return new MeshError('NO_READY_ENDPOINT', `the supervisor cannot be reached: ${why}`, { cause });
}
