import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import { EN, type TextKey, type Texts } from './en.ts';
import { type Fillings, fill } from './fill.ts';
import { ZH } from './zh.ts';

export const LANGUAGES = { en: EN, zh: ZH } as const satisfies Record<string, Texts>;

export type LanguageCode = keyof typeof LANGUAGES;

/** Returns the language that a browser prefers: English unless it is Chinese. */
export function preferredLanguage(languages: readonly string[]): LanguageCode {
  const [first = 'en'] = languages;
  return first.toLowerCase().startsWith('zh') ? 'zh' : 'en';
}

export const Language = createContext<LanguageCode>('en');

export type Say = (key: TextKey, fillings?: Fillings) => string;

/** Returns the function that gives the texts of the chosen language. */
export function useText(): Say {
  const texts: Texts = LANGUAGES[useContext(Language)];
  return (key, fillings) => fill(texts[key], fillings);
}
