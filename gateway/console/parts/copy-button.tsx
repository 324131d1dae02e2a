import { useEffect, useState } from 'preact/hooks';
import { useText } from '../text/language.tsx';
import { Icon } from './icon.tsx';

/** Milliseconds for which a button says that it has copied. */
const SHOWN_MS = 1800;

export interface CopyButtonProps {
  readonly label: string;
  readonly text: () => string;
}

/** Copies a text, which is made when it is asked for. */
export function CopyButton({ label, text }: CopyButtonProps) {
  const say = useText();
  const [isCopied, setCopied] = useState(false);
  useEffect(() => {
    if (!isCopied) return;
    const timer = setTimeout(() => setCopied(false), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [isCopied]);
  const copy = () => {
    void copyText(text()).then(setCopied);
  };
  return (
    <button type="button" class="quiet small" onClick={copy}>
      <Icon name={isCopied ? 'check' : 'copy'} />
      <span aria-live="polite">{isCopied ? say('copied') : label}</span>
    </button>
  );
}

async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copySelected(text);
  }
}

/** The clipboard's own interface needs HTTPS; a selection can be copied everywhere. */
function copySelected(text: string): boolean {
  const area = document.createElement('textarea');
  area.value = text;
  area.className = 'unseen';
  document.body.append(area);
  area.select();
  const isCopied = document.execCommand('copy');
  area.remove();
  return isCopied;
}
