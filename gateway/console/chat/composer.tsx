import { useEffect, useRef, useState } from 'preact/hooks';
import { Icon } from '../parts/icon.tsx';
import { useText } from '../text/language.tsx';
import { AttachmentView } from './attachment-view.tsx';
import { MAX_FILE_MB, readAttachment, wavAttachment } from './attachments.ts';
import type { Attachment, UserTurn } from './conversation.ts';
import { canRecord, type Recording, record } from './sound.ts';

export interface ComposerProps {
  readonly isRunning: boolean;
  readonly takesImages: boolean;
  readonly takesAudio: boolean;
  readonly onSend: (turn: UserTurn) => void;
  readonly onStop: () => void;
}

/** Where a message is written, with its screenshot and its recording. */
export function Composer({ isRunning, takesImages, takesAudio, onSend, onStop }: ComposerProps) {
  const say = useText();
  const [text, setText] = useState('');
  const [files, setFiles] = useState<readonly Attachment[]>([]);
  const [problem, setProblem] = useState('');
  const [isOver, setOver] = useState(false);
  const chooser = useRef<HTMLInputElement>(null);
  const area = useRef<HTMLTextAreaElement>(null);

  const add = async (found: readonly File[]) => {
    setProblem('');
    for (const file of found) {
      const read = await readAttachment(file);
      if (read === 'large') setProblem(say('fileLarge', { name: file.name, max: MAX_FILE_MB }));
      else if (read === 'unknown') setProblem(say('fileUnknown', { name: file.name }));
      else setFiles((known) => [...known, read]);
    }
  };
  useDrops({ onFiles: (found) => void add(found), onOver: setOver });

  const hasSpeech = files.some(({ kind }) => kind === 'audio');
  const isEmpty = text.trim() === '' && files.length === 0;
  const send = ({ isTranscription }: { readonly isTranscription: boolean }) => {
    if (isEmpty || isRunning) return;
    const kept = isTranscription ? files.filter(({ kind }) => kind === 'audio') : files;
    onSend({
      role: 'user',
      text: isTranscription ? '' : text.trim(),
      attachments: kept,
      isTranscription,
    });
    setText('');
    setFiles([]);
    setProblem('');
  };
  const onKeyDown = (event: KeyboardEvent) => {
    // Enter also ends the choice of a Chinese word, and is not for the message then.
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send({ isTranscription: false });
  };
  useEffect(() => {
    const field = area.current;
    if (field === null) return;
    field.style.height = 'auto';
    field.style.height = `${field.scrollHeight}px`;
  }, [text]);

  const submit = (event: Event) => {
    event.preventDefault();
    send({ isTranscription: false });
  };
  return (
    <form class={isOver ? 'composer over' : 'composer'} onSubmit={submit}>
      {problem !== '' && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      {files.length > 0 && (
        <ul class="attached">
          {files.map((file) => (
            <li key={file}>
              <AttachmentView file={file} />
              <button
                type="button"
                class="quiet remove"
                aria-label={say('remove', { name: file.name })}
                onClick={() => setFiles(files.filter((one) => one !== file))}
              >
                <Icon name="close" />
              </button>
            </li>
          ))}
        </ul>
      )}
      <div class="composer-row">
        {(takesImages || takesAudio) && (
          <>
            <input
              ref={chooser}
              class="unseen"
              type="file"
              tabIndex={-1}
              aria-label={say('attach')}
              multiple
              accept={[takesImages ? 'image/*' : '', takesAudio ? 'audio/*' : ''].join()}
              onChange={(event) => {
                void add([...(event.currentTarget.files ?? [])]);
                event.currentTarget.value = '';
              }}
            />
            <button
              type="button"
              class="quiet"
              title={say('attach')}
              aria-label={say('attach')}
              onClick={() => chooser.current?.click()}
            >
              <Icon name="attach" />
            </button>
          </>
        )}
        {takesAudio && (
          <RecordButton
            onRecorded={(bytes) => {
              setFiles((known) => [...known, wavAttachment(bytes, 'recording.wav')]);
            }}
            onProblem={setProblem}
          />
        )}
        <textarea
          ref={area}
          rows={1}
          value={text}
          aria-label={say('message')}
          placeholder={isOver ? say('dropHere') : say('messageHint')}
          onInput={(event) => setText(event.currentTarget.value)}
          onKeyDown={onKeyDown}
        />
        {hasSpeech && !isRunning && (
          <button type="button" class="chip" onClick={() => send({ isTranscription: true })}>
            {say('writeDown')}
          </button>
        )}
        {isRunning ? (
          <button type="button" class="primary round" aria-label={say('stop')} onClick={onStop}>
            <Icon name="stop" />
          </button>
        ) : (
          <button type="submit" class="primary round" aria-label={say('send')} disabled={isEmpty}>
            <Icon name="send" />
          </button>
        )}
      </div>
    </form>
  );
}

interface DropOptions {
  readonly onFiles: (files: readonly File[]) => void;
  /** Called when files come over the page, and when they leave it. */
  readonly onOver: (isOver: boolean) => void;
}

/** Takes files that are pasted or dropped anywhere on the page. */
function useDrops(options: DropOptions): void {
  const latest = useRef(options);
  latest.current = options;
  useEffect(() => {
    const take = (event: Event, data: DataTransfer | null) => {
      const files = [...(data?.files ?? [])];
      if (files.length === 0) return;
      event.preventDefault();
      latest.current.onFiles(files);
    };
    const onPaste = (event: ClipboardEvent) => take(event, event.clipboardData);
    const onDrop = (event: DragEvent) => {
      latest.current.onOver(false);
      take(event, event.dataTransfer);
    };
    const onDragOver = (event: DragEvent) => {
      if (event.dataTransfer?.types.includes('Files') !== true) return;
      event.preventDefault();
      latest.current.onOver(true);
    };
    const onDragLeave = (event: DragEvent) => {
      if (event.relatedTarget === null) latest.current.onOver(false);
    };
    document.addEventListener('paste', onPaste);
    document.addEventListener('drop', onDrop);
    document.addEventListener('dragover', onDragOver);
    document.addEventListener('dragleave', onDragLeave);
    return () => {
      document.removeEventListener('paste', onPaste);
      document.removeEventListener('drop', onDrop);
      document.removeEventListener('dragover', onDragOver);
      document.removeEventListener('dragleave', onDragLeave);
    };
  }, []);
}

interface RecordButtonProps {
  readonly onRecorded: (bytes: Uint8Array<ArrayBuffer>) => void;
  readonly onProblem: (problem: string) => void;
}

function RecordButton({ onRecorded, onProblem }: RecordButtonProps) {
  const say = useText();
  const [recording, setRecording] = useState<Recording>();
  const [seconds, setSeconds] = useState(0);
  useEffect(() => {
    if (recording === undefined) return;
    setSeconds(0);
    const timer = setInterval(() => setSeconds((now) => now + 1), 1000);
    return () => clearInterval(timer);
  }, [recording]);
  useEffect(() => () => recording?.drop(), [recording]);

  const toggle = async () => {
    onProblem('');
    if (!canRecord()) {
      onProblem(say('recordInsecure'));
      return;
    }
    try {
      if (recording === undefined) {
        setRecording(await record());
        return;
      }
      setRecording(undefined);
      onRecorded(await recording.end());
    } catch (error: unknown) {
      setRecording(undefined);
      const reason = error instanceof Error ? error.message : String(error);
      onProblem(say('recordRefused', { reason }));
    }
  };
  const isRunning = recording !== undefined;
  const label = isRunning ? say('recordStop') : say('record');
  return (
    <>
      <button
        type="button"
        class={isRunning ? 'quiet recording' : 'quiet'}
        title={label}
        aria-label={label}
        onClick={() => void toggle()}
      >
        <Icon name={isRunning ? 'stop' : 'microphone'} />
      </button>
      {isRunning && <output class="recording-time">{say('recordRunning', { seconds })}</output>}
    </>
  );
}
