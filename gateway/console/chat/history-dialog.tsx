import { Icon } from '../parts/icon.tsx';
import { Modal } from '../parts/modal.tsx';
import { useText } from '../text/language.tsx';
import { titleOf } from './conversation.ts';
import type { Chat } from './use-chat.ts';

export interface HistoryDialogProps {
  readonly chat: Chat;
  readonly onClose: () => void;
}

/** The conversations that this browser keeps. */
export function HistoryDialog({ chat, onClose }: HistoryDialogProps) {
  const say = useText();
  const { kept, lostReason } = chat;
  return (
    <Modal title={say('history')} onClose={onClose}>
      <p class="muted">
        {lostReason === '' ? say('historyEmpty') : say('historyLost', { reason: lostReason })}
      </p>
      <ul class="history">
        {kept.map((one) => {
          const title = titleOf(one) || say('untitled');
          return (
            <li key={one.id}>
              <button
                type="button"
                class="quiet entry"
                onClick={() => {
                  chat.open(one);
                  onClose();
                }}
              >
                <span>{title}</span>
                <small class="muted">{new Date(one.changedMs).toLocaleString()}</small>
              </button>
              <button
                type="button"
                class="quiet"
                aria-label={say('historyDelete', { title })}
                onClick={() => chat.forget(one.id)}
              >
                <Icon name="trash" />
              </button>
            </li>
          );
        })}
      </ul>
      {kept.length > 1 && (
        <div class="row end">
          <button type="button" class="quiet" onClick={chat.forgetAll}>
            {say('historyClear')}
          </button>
        </div>
      )}
    </Modal>
  );
}
