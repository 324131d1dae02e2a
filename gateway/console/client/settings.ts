/** Beginning of the names under which the browser keeps what was chosen. */
const PREFIX = 'autoglm.';

/** Reads a setting; undefined if there is none, or the browser keeps none for this page. */
export function readSetting(name: string): string | undefined {
  try {
    return localStorage.getItem(PREFIX + name) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Keeps a setting where the browser allows it; undefined forgets it. */
export function writeSetting(name: string, value: string | undefined): void {
  try {
    if (value === undefined) localStorage.removeItem(PREFIX + name);
    else localStorage.setItem(PREFIX + name, value);
  } catch {
    // What was chosen counts until the page is closed.
  }
}

/** Keeps a value for as long as the tab is open. */
export function writeTabSetting(name: string, value: string | undefined): void {
  try {
    if (value === undefined) sessionStorage.removeItem(PREFIX + name);
    else sessionStorage.setItem(PREFIX + name, value);
  } catch {
    // It counts until the page is closed.
  }
}

export function readTabSetting(name: string): string | undefined {
  try {
    return sessionStorage.getItem(PREFIX + name) ?? undefined;
  } catch {
    return undefined;
  }
}
