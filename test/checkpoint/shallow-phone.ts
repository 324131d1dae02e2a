import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PHONE_NANO } from '#test/e2e/request/phone-cases.ts';

/** Parts of phone-nano's configuration that say how many layers there are. */
const TOWERS = ['text_config', 'vision_config', 'audio_config'];

/**
 * Writes a checkpoint of phone-nano's first layer of each kind, which hears, sees and answers, though
 * with no sense: for devices on which its other layers would take long.
 */
export async function writeShallowPhone(directory: string): Promise<void> {
  await cp(PHONE_NANO, directory, { recursive: true });
  const path = join(directory, 'config.json');
  const config: unknown = JSON.parse(await readFile(path, 'utf8'));
  const shallow = JSON.stringify(config, (key, value: unknown) =>
    TOWERS.includes(key) && typeof value === 'object' ? { ...value, num_hidden_layers: 1 } : value,
  );
  await writeFile(path, shallow);
}
