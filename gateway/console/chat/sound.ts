import { wavFile } from './wav.ts';

/** Samples a second that speech models take. */
const SAMPLE_RATE = 16_000;

/** Decodes what this browser can play, and writes it as one channel of WAV. */
export async function toWav(bytes: ArrayBuffer): Promise<Uint8Array<ArrayBuffer>> {
  const decoder = new OfflineAudioContext(1, 1, SAMPLE_RATE);
  // Decoding brings the sound to the context's rate.
  const decoded = await decoder.decodeAudioData(bytes);
  const mixer = new OfflineAudioContext(1, Math.max(1, decoded.length), SAMPLE_RATE);
  const source = mixer.createBufferSource();
  source.buffer = decoded;
  source.connect(mixer.destination);
  source.start();
  const mixed = await mixer.startRendering();
  return wavFile(mixed.getChannelData(0), SAMPLE_RATE);
}

/** A recording that runs. */
export interface Recording {
  /** Ends it and returns what was recorded. */
  end(): Promise<Uint8Array<ArrayBuffer>>;
  /** Ends it and drops what was recorded. */
  drop(): void;
}

/** Whether the browser lends its microphone to this page. */
export function canRecord(): boolean {
  return isSecureContext && navigator.mediaDevices !== undefined;
}

/** Begins to record; rejects if the user or the machine does not allow it. */
export async function record(): Promise<Recording> {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  const recorder = new MediaRecorder(stream);
  const pieces: Blob[] = [];
  recorder.ondataavailable = ({ data }) => pieces.push(data);
  const ended = new Promise<void>((resolve) => {
    recorder.onstop = () => resolve();
  });
  recorder.start();
  const stop = () => {
    if (recorder.state !== 'inactive') recorder.stop();
    for (const track of stream.getTracks()) track.stop();
  };
  return {
    end: async () => {
      stop();
      await ended;
      return toWav(await new Blob(pieces).arrayBuffer());
    },
    drop: stop,
  };
}
