import { useEffect, useRef, useState } from 'preact/hooks';
import { useText } from '../text/language.tsx';
import { Modal } from './modal.tsx';

export interface KeyDialogProps {
  /** Whether the server has refused the last key. */
  readonly isWrong: boolean;
  readonly hasKey: boolean;
  readonly onKey: (key: string, options: { readonly isRemembered: boolean }) => void;
  readonly onForget: () => void;
  readonly onClose: () => void;
}

/** Asks for the API key. */
export function KeyDialog({ isWrong, hasKey, onKey, onForget, onClose }: KeyDialogProps) {
  const say = useText();
  const [key, setKey] = useState('');
  const [isRemembered, setRemembered] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  // The dialog itself would give the focus to its first button, which closes it.
  useEffect(() => field.current?.focus(), []);
  const submit = (event: Event) => {
    event.preventDefault();
    if (key.trim() !== '') onKey(key.trim(), { isRemembered });
  };
  return (
    <Modal title={say('keyTitle')} onClose={onClose}>
      <form class="form" onSubmit={submit}>
        <p class="muted">{say('keyIntro')}</p>
        <label class="field">
          <span>{say('key')}</span>
          <input
            ref={field}
            type="password"
            autocomplete="off"
            value={key}
            aria-describedby={isWrong ? 'key-wrong' : undefined}
            aria-invalid={isWrong}
            onInput={(event) => setKey(event.currentTarget.value)}
          />
        </label>
        {isWrong && (
          <p id="key-wrong" class="problem" role="alert">
            {say('keyWrong')}
          </p>
        )}
        <label class="check">
          <input
            type="checkbox"
            checked={isRemembered}
            onChange={(event) => setRemembered(event.currentTarget.checked)}
          />
          <span>
            {say('keyRemember')}
            <small class="muted">{say('keyRememberHint')}</small>
          </span>
        </label>
        <div class="row end">
          {hasKey && (
            <button type="button" class="quiet" onClick={onForget}>
              {say('keyForget')}
            </button>
          )}
          <button type="submit" class="primary">
            {say('keySave')}
          </button>
        </div>
      </form>
    </Modal>
  );
}
