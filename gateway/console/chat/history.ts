import type { Conversation } from './conversation.ts';

/** Name of the browser's database, and of its one table, by the conversations' ids. */
const DATABASE = 'autoglm-console';
const TABLE = 'conversations';
/** Most conversations that are kept; the oldest is forgotten. */
const MAX_CONVERSATIONS = 50;

/** Conversations, kept in this browser and nowhere else. */
export class History {
  readonly #database: IDBDatabase;

  private constructor(database: IDBDatabase) {
    this.#database = database;
  }

  /** Opens it; rejects in a browser that keeps nothing for this page. */
  static async open(): Promise<History> {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(TABLE, { keyPath: 'id' });
    };
    return new History(await resultOf(request));
  }

  /** Returns all, the one that was changed last first. */
  async list(): Promise<Conversation[]> {
    const found: Conversation[] = await resultOf(this.#table('readonly').getAll());
    return found.sort((a, b) => b.changedMs - a.changedMs);
  }

  async keep(conversation: Conversation): Promise<void> {
    await resultOf(this.#table('readwrite').put(conversation));
    const old = (await this.list()).slice(MAX_CONVERSATIONS);
    for (const { id } of old) await this.forget(id);
  }

  async forget(id: string): Promise<void> {
    await resultOf(this.#table('readwrite').delete(id));
  }

  async clear(): Promise<void> {
    await resultOf(this.#table('readwrite').clear());
  }

  #table(mode: IDBTransactionMode): IDBObjectStore {
    return this.#database.transaction(TABLE, mode).objectStore(TABLE);
  }
}

function resultOf<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('the database failed'));
  });
}
