import { Modal } from '../parts/modal.tsx';
import { useText } from '../text/language.tsx';
import type { ChatOptions } from './conversation.ts';

export interface OptionsDialogProps {
  readonly options: ChatOptions;
  readonly models: readonly string[];
  readonly onChange: (options: ChatOptions) => void;
  readonly onClose: () => void;
}

/** What is sent with every question. */
export function OptionsDialog({ options, models, onChange, onClose }: OptionsDialogProps) {
  const say = useText();
  const set = (part: Partial<ChatOptions>) => onChange({ ...options, ...part });
  const setMaxTokens = (text: string) => {
    const count = Number.parseInt(text, 10);
    set({ maxTokens: count > 0 ? count : undefined });
  };
  return (
    <Modal title={say('options')} onClose={onClose}>
      <div class="form">
        <label class="field">
          <span>{say('optionModel')}</span>
          <select
            value={options.model}
            onChange={(event) => set({ model: event.currentTarget.value })}
          >
            {models.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <label class="check">
          <input
            type="checkbox"
            checked={options.isThinking}
            onChange={(event) => set({ isThinking: event.currentTarget.checked })}
          />
          <span>{say('optionThinking')}</span>
        </label>
        <label class="field">
          <span>
            {say('optionTemperature')} <output>{options.temperature}</output>
          </span>
          <input
            type="range"
            min={0}
            max={2}
            step={0.1}
            value={options.temperature}
            onInput={(event) => set({ temperature: event.currentTarget.valueAsNumber })}
          />
        </label>
        <label class="field">
          <span>{say('optionMaxTokens')}</span>
          <input
            type="number"
            min={1}
            placeholder={say('optionMaxTokensHint')}
            value={options.maxTokens ?? ''}
            onInput={(event) => setMaxTokens(event.currentTarget.value)}
          />
        </label>
        <label class="field">
          <span>{say('optionSystem')}</span>
          <textarea
            rows={3}
            placeholder={say('optionSystemHint')}
            value={options.system}
            onInput={(event) => set({ system: event.currentTarget.value })}
          />
        </label>
      </div>
    </Modal>
  );
}
