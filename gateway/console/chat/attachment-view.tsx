import { useEffect, useState } from 'preact/hooks';
import { useText } from '../text/language.tsx';
import type { Attachment } from './conversation.ts';

/** Returns an address under which the page can show a file; empty at the first rendering. */
export function useFileUrl({ bytes, type }: Attachment): string {
  const [url, setUrl] = useState('');
  useEffect(() => {
    const made = URL.createObjectURL(new Blob([bytes], { type }));
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [bytes, type]);
  return url;
}

/** A screenshot, small, or a recording that can be played. */
export function AttachmentView({ file }: { readonly file: Attachment }) {
  const say = useText();
  const url = useFileUrl(file);
  if (url === '') return null;
  if (file.kind === 'image') {
    return <img class="thumbnail" src={url} alt={say('screenshot', { name: file.name })} />;
  }
  return (
    // biome-ignore lint/a11y/useMediaCaption: what is said is what the model is to find out.
    <audio class="player" controls src={url} aria-label={say('recording', { name: file.name })} />
  );
}
