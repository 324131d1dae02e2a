import { readModelFiles } from '#backbone/checkpoint/model-files.ts';
import type { Log } from '#mesh/log/log.ts';
import { checkModelDirectory } from '#mesh/model/model-directory.ts';
import { endWithEngine } from '#mesh/process/engine-death.ts';
import { runProcess } from '#mesh/process/process-main.ts';
import { type Backbone, startBackbone } from './backbone.ts';
import { loadDecoder } from './load-decoder.ts';
import { type BackboneOptions, backboneOptions, checkBackboneOptions } from './options.ts';

async function start(options: BackboneOptions, log: Log): Promise<Backbone> {
  checkBackboneOptions(options);
  await checkModelDirectory(options.model, { tokenizer: true });
  const files = await readModelFiles(options.model, options.chatTemplate);
  const decoder = await loadDecoder(options, files, log);
  const backbone = await startBackbone(options, decoder, files, log);
  log.info(`LLM backbone listening on ${backbone.address}`);
  endWithEngine(backbone, log);
  return backbone;
}

runProcess({ role: 'llm-backbone', required: '--model DIR', schema: backboneOptions, start });
