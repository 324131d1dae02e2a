import type { Attachment } from './conversation.ts';
import { toWav } from './sound.ts';

/** Most megabytes of a file; the gateway takes 96 MB of base64 as it is set up. */
export const MAX_FILE_MB = 32;

/** Pictures that the gateway takes as they are; others are drawn anew as PNG. */
const SENT_AS_THEY_ARE = new Set(['image/png', 'image/jpeg', 'image/webp', 'image/gif']);

/** Why a file cannot be attached. */
export type AttachProblem = 'large' | 'unknown';

/** Reads a file as a screenshot or a recording. */
export async function readAttachment(file: File): Promise<Attachment | AttachProblem> {
  if (file.size > MAX_FILE_MB * 1_000_000) return 'large';
  try {
    if (/^(audio|video)\//.test(file.type)) return await audioAttachment(file);
    return await imageAttachment(file);
  } catch {
    return 'unknown';
  }
}

async function imageAttachment(file: File): Promise<Attachment> {
  const bitmap = await createImageBitmap(file);
  const { width, height } = bitmap;
  const isKnown = SENT_AS_THEY_ARE.has(file.type);
  const blob = isKnown ? file : await drawnAnew(bitmap);
  bitmap.close();
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const name = file.name === '' ? 'screenshot.png' : file.name;
  return { kind: 'image', name, type: blob.type, bytes, width, height };
}

async function drawnAnew(bitmap: ImageBitmap): Promise<Blob> {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  canvas.getContext('2d')?.drawImage(bitmap, 0, 0);
  return canvas.convertToBlob({ type: 'image/png' });
}

/** Every browser records and plays other formats, so all become WAV. */
async function audioAttachment(file: File): Promise<Attachment> {
  return wavAttachment(await toWav(await file.arrayBuffer()), file.name);
}

/** Returns WAV bytes as an attachment, under a name that ends so. */
export function wavAttachment(bytes: Uint8Array<ArrayBuffer>, name: string): Attachment {
  const stem = name.replace(/\.[^.]*$/, '');
  const type = 'audio/wav';
  return { kind: 'audio', name: `${stem}.wav`, type, bytes, width: 0, height: 0 };
}
