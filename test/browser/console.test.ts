import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import axe from 'axe-core';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import sharp from 'sharp';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { type Mesh, startMesh } from '#test/e2e/mesh.ts';
import { jsonPost, userMessage } from '#test/e2e/request/chat-request.ts';
import { launchBrowser, NO_BROWSER, openPage, type Watched } from './browser.ts';

const MEDIA = join(PACKAGE_ROOT, 'deploy/models/phone-nano/media');
const KEY = 'console-key';

/** The pictures of `gateway/console/README.md` are written there if this is set, else they are tried. */
const PICTURES =
  process.env['AUTOGLM_PICTURES'] === undefined
    ? join(PACKAGE_ROOT, 'build', 'pictures')
    : join(PACKAGE_ROOT, 'gateway', 'console', 'pictures');

const DESKTOP: BrowserContextOptions = { viewport: { width: 1100, height: 720 } };
const PHONE: BrowserContextOptions = {
  viewport: { width: 360, height: 720 },
  isMobile: true,
  hasTouch: true,
};
const VIEWS = ['chat', 'mesh', 'requests'] as const;

/** The pictures that the README shows; the others would only make the repository heavier. */
const SHOWN = new Set([
  ...['chat', 'mesh-with-a-dead-backbone', 'requests-light-desktop', 'mesh-dark-desktop'],
  ...['chat-dark-phone', 'mesh-light-phone', 'requests-dark-phone'],
]);

async function takePicture(page: Page, name: string): Promise<void> {
  if (!SHOWN.has(name)) return;
  mkdirSync(PICTURES, { recursive: true });
  // Drawings that come into being are shown as they end.
  const picture = await page.screenshot({ animations: 'disabled' });
  const small = sharp(picture).png({ palette: true, quality: 90, effort: 10 });
  await small.toFile(join(PICTURES, `${name}.png`));
}

/** Returns what axe finds wrong with the page as it is. */
async function faultsOf(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate<axe.AxeResults>('axe.run()');
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 200)} ${failureSummary}`),
  );
}

/** Goes to a view and waits until it shows what it is for. */
async function goTo(page: Page, view: (typeof VIEWS)[number]): Promise<void> {
  await page.locator(`nav a[href="#/${view}"]`).click();
  const shown = { chat: '.composer', mesh: '.card.llm-backbone', requests: 'tbody tr' };
  await page.locator(shown[view]).first().waitFor();
}

/** Makes the next answer come from the page's own functions `say` and `endOwnStream`. */
const OWN_STREAM = `(() => {
  const before = fetch;
  const stream = new ReadableStream({
    start(controller) {
      window.say = (content) => {
        const event = JSON.stringify({ choices: [{ delta: { content } }] });
        controller.enqueue(new TextEncoder().encode('data: ' + event + '\\n\\n'));
      };
      window.endOwnStream = () => {
        window.fetch = before;
        controller.close();
      };
    },
  });
  window.fetch = async (path, init) =>
    path.endsWith('chat/completions') ? new Response(stream) : before(path, init);
})()`;

/** Lets the page draw what has changed, and hear of a scroll. */
const TWO_FRAMES =
  'new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))';

/** What a chunk of an answer brings; one that brings nothing ends it. */
interface Piece {
  readonly content?: string;
  readonly error?: string;
}

/** Lets the next requests be answered with these chunks. */
async function answerWith(page: Page, pieces: readonly Piece[]): Promise<void> {
  const events = pieces.map(({ content, error }) => {
    if (error !== undefined) return { error: { message: error } };
    const isEnd = content === undefined;
    return { choices: [{ delta: { content }, finish_reason: isEnd ? 'stop' : null }] };
  });
  const body = events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('');
  await page.route('**/v1/chat/completions', (route) =>
    route.fulfill({ contentType: 'text/event-stream', body }),
  );
}

/** Waits for the end of the last answer, and returns it. */
async function answerOf(page: Page) {
  await page.getByRole('button', { name: 'Send' }).waitFor();
  const answer = page.locator('.turn.answer').last();
  await answer.locator('.turn-foot').waitFor();
  return answer;
}

describe('the console in a browser', { skip: NO_BROWSER }, () => {
  let browser: Browser;
  let mesh: Mesh;
  let desktop: Watched;

  before(async () => {
    [browser, mesh] = await Promise.all([
      launchBrowser(),
      startMesh({ numBackbones: 2, env: { AUTOGLM_API_KEY: KEY } }),
    ]);
    desktop = await openPage(browser, { ...DESKTOP, colorScheme: 'light' });
  });
  after(async () => {
    await browser?.close();
    await mesh?.stop();
  });

  it('asks for the key, and says if it is wrong', async () => {
    const { page } = desktop;
    await page.goto(mesh.url);
    const field = page.locator('.modal input[type="password"]');

    await page.locator('.modal input[type="password"]:focus').waitFor();
    await page.keyboard.type('wrong');
    await page.keyboard.press('Enter');
    await page.getByText('does not know this key').waitFor();
    await field.fill(KEY);
    await page.getByRole('button', { name: 'Use this key' }).click();

    await page.getByRole('button', { name: /phone-nano/ }).waitFor();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
  });

  it('draws the tap that the model answers on the screenshot it was asked about', async () => {
    const { page } = desktop;
    await page.locator('input[type="file"]').setInputFiles(join(MEDIA, 'image0.png'));
    await page.getByLabel('Message').fill('can you open Camera');
    await page.keyboard.press('Enter');

    const answer = await answerOf(page);
    const drawing = answer.getByRole('img', { name: /^Tap at \d+, \d+, drawn/ });
    const ring = drawing.locator('.ring');
    const [x, y] = [Number(await ring.getAttribute('cx')), Number(await ring.getAttribute('cy'))];

    // The icon's centre is at 833, 143 thousandths of 192 by 384 pixels.
    assert(Math.abs(x - 0.833 * 192) < 0.06 * 192, `x is ${x}`);
    assert(Math.abs(y - 0.143 * 384) < 0.03 * 384, `y is ${y}`);
    const reasoning = answer.locator('details');
    assert.equal(await reasoning.getAttribute('open'), null);
    await reasoning.locator('summary').click();
    await answer.getByText('The Camera icon is in row 1').waitFor();
    assert.match((await answer.locator('.raw').textContent()) ?? '', /^do\(action="Tap", .*\)$/);
    await reasoning.locator('summary').click();
    await takePicture(page, 'chat');
  });

  it('copies what it sent as curl and as Python', async () => {
    const { page } = desktop;
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    const clipboard = () => page.evaluate<string>('navigator.clipboard.readText()');

    await page.getByRole('button', { name: 'Copy as curl' }).click();
    await page.getByText('Copied').waitFor();
    const curl = await clipboard();
    await page.getByRole('button', { name: 'Copy as Python' }).click();
    await page.waitForFunction(
      'navigator.clipboard.readText().then((text) => text.includes("import OpenAI"))',
    );

    assert.match(curl, /^curl -N 'http:\/\/127\.0\.0\.1:\d+\/v1\/chat\/completions'/);
    assert.match(curl, /can you open Camera/);
    assert.match(curl, /base64 < 'image0\.png'/);
    assert(!curl.includes(KEY));
  });

  it('writes a recording down', async () => {
    const { page } = desktop;
    await page.getByRole('button', { name: 'New chat' }).click();
    await page.locator('input[type="file"]').setInputFiles(join(MEDIA, 'audio107.wav'));
    await page.locator('.composer').getByRole('button', { name: 'Write down' }).click();

    const answer = await answerOf(page);

    assert.match((await answer.textContent()) ?? '', /open Maps/);
  });

  it('records a voice and sends it as WAV', async () => {
    const { page } = desktop;
    await page.getByRole('button', { name: 'Record your voice' }).click();
    await page.getByText('Recording, 1 s').waitFor();
    await page.getByRole('button', { name: 'End the recording' }).click();
    await page.getByRole('button', { name: 'Remove recording.wav' }).waitFor();
    const sent = page.waitForRequest(/chat\/completions/);
    await page.getByRole('button', { name: 'Send' }).click();

    const body = (await sent).postData() ?? '';

    const data = /"input_audio":\{"format":"wav","data":"([^"]+)"/.exec(body)?.[1] ?? '';
    const wav = Buffer.from(data, 'base64');
    assert.equal(wav.toString('latin1', 0, 4), 'RIFF');
    assert.equal(wav.readUInt32LE(24), 16_000);
    assert(wav.length > 16_000);
    await answerOf(page);
  });

  it('keeps chats in this browser, and opens one again', async () => {
    const { page } = desktop;
    await page.reload();
    await page.getByRole('button', { name: 'Earlier chats' }).click();
    await page.locator('.history .entry', { hasText: 'can you open Camera' }).click();

    await page.getByRole('img', { name: /^Tap at/ }).waitFor();
  });

  it('shows a backbone that was killed as dead, and the chat goes on', async () => {
    const { page } = desktop;
    await goTo(page, 'mesh');
    assert.equal(await page.locator('.card').count(), 5);
    const [pid = 0] = await mesh.pids('llm-backbone');

    process.kill(pid, 'SIGKILL');
    await page.locator('.card.llm-backbone.is-away').getByText('dead').waitFor();
    await takePicture(page, 'mesh-with-a-dead-backbone');
    await goTo(page, 'chat');
    await page.getByRole('button', { name: 'New chat' }).click();
    await page.getByRole('button', { name: '你是谁?' }).click();
    const answer = await answerOf(page);

    assert.match((await answer.textContent()) ?? '', /AutoGLM-Phone-Nano/);
    await goTo(page, 'mesh');
    await page.locator('.card.llm-backbone.is-away').waitFor({ state: 'detached' });
  });

  it('stops an answer that comes, and says why one failed', async () => {
    const { page } = desktop;
    await page.route('**/v1/chat/completions', (route) => route.abort());
    await goTo(page, 'chat');
    await page.getByLabel('Message').fill('hello');
    await page.keyboard.press('Enter');
    await page.getByText('The answer failed: The gateway does not answer.').waitFor();
    await page.unroute('**/v1/chat/completions');
    // Nothing is answered until the request is given up.
    await page.route('**/v1/chat/completions', () => {});
    await page.getByRole('button', { name: 'Ask again' }).click();
    await page.getByRole('button', { name: 'Stop' }).click();

    await page.getByText('stopped').waitFor();
    await page.unroute('**/v1/chat/completions');
  });

  it('shows a long answer, its tags apart, and follows it to its end', async () => {
    const { page } = desktop;
    const lines = Array.from({ length: 200 }, (_, n) => `line ${n}\n\n`).join('');
    await answerWith(page, [{ content: `<think>I know.</think><answer>${lines}the end` }, {}]);
    await goTo(page, 'chat');
    await page.getByRole('button', { name: 'New chat' }).click();
    await page.getByLabel('Message').fill('a long one');
    await page.keyboard.press('Enter');
    const answer = await answerOf(page);

    await answer.locator('details', { hasText: 'I know.' }).waitFor();
    const words = (await answer.locator('.words').textContent()) ?? '';
    assert(words.startsWith('line 0') && words.endsWith('the end'), words.slice(0, 100));
    await page.waitForFunction('scrollY > 1000');
    await page.unroute('**/v1/chat/completions');
  });

  it('follows an answer that grows, unless its reader has scrolled away', async () => {
    const { page } = desktop;
    await page.evaluate(OWN_STREAM);
    const say = async (count: number) => {
      await page.evaluate(
        `say(${JSON.stringify('line\n\n'.repeat(count))} + 'said ${count}\\n\\n')`,
      );
      await page.getByText(`said ${count}`).waitFor();
      await page.evaluate(TWO_FRAMES);
    };
    const isAtEnd = 'document.documentElement.scrollHeight - innerHeight - scrollY < 10';
    await page.getByRole('button', { name: 'New chat' }).click();
    await page.getByLabel('Message').fill('grow');
    await page.keyboard.press('Enter');

    await say(100);
    await page.waitForFunction(isAtEnd);
    await page.evaluate(`scrollTo(0, 0), ${TWO_FRAMES}`);
    await say(101);
    assert.equal(await page.evaluate('scrollY'), 0);
    await page.evaluate(`scrollTo(0, 1e6), ${TWO_FRAMES}`);
    await say(102);
    await page.waitForFunction(isAtEnd);

    await page.evaluate('endOwnStream()');
    await answerOf(page);
  });

  it('says that an answer is empty, and why one broke off', async () => {
    const { page } = desktop;
    await answerWith(page, [{}]);
    await page.getByLabel('Message').fill('say nothing');
    await page.keyboard.press('Enter');
    await page.getByText('The model said nothing.').waitFor();
    await page.unroute('**/v1/chat/completions');
    await answerWith(page, [{ content: '<answer>do(action="T' }, { error: 'a service was lost' }]);
    await page.getByRole('button', { name: 'Ask again' }).click();
    await page.getByText('The answer failed: a service was lost').waitFor();

    const answer = await answerOf(page);

    assert.equal(await answer.locator('.words').textContent(), 'do(action="T');
    await page.unroute('**/v1/chat/completions');
  });

  it('lets a chat of a long title be deleted', async () => {
    const { page } = desktop;
    await page.getByRole('button', { name: 'New chat' }).click();
    await page.getByLabel('Message').fill('many words '.repeat(20));
    await page.keyboard.press('Enter');
    await answerOf(page);

    await page.getByRole('button', { name: 'Earlier chats' }).click();
    const remove = page.getByRole('button', { name: /^Delete the chat “many words/ });
    const box = await remove.boundingBox();
    const dialog = await page.getByRole('dialog').boundingBox();
    assert(box !== null && dialog !== null);
    assert(box.x + box.width <= dialog.x + dialog.width, 'it lies outside of the dialog');
    await remove.click();

    await remove.waitFor({ state: 'detached' });
    await page.keyboard.press('Escape');
  });

  it('says why a request was refused', async () => {
    const { page } = desktop;
    const post = jsonPost({ model: 'nobody', messages: userMessage('Hi') });
    const headers = { ...post.headers, authorization: `Bearer ${KEY}` };
    const answer = await fetch(`${mesh.url}/v1/chat/completions`, { ...post, headers });
    assert.equal(answer.status, 404);

    await goTo(page, 'requests');

    await page
      .getByRole('row', { name: /404 ?MODEL_NOT_FOUND/ })
      .first()
      .waitFor();
  });

  it('says since when a gateway that stands still has not answered', async () => {
    const { page } = desktop;
    await goTo(page, 'mesh');
    await page.getByText('Live', { exact: true }).waitFor();

    await page.route('**/v1/autoglm/mesh', () => {
      // Nobody answers.
    });

    await page.getByText(/^No answer since /).waitFor();
    await page.unroute('**/v1/autoglm/mesh');
    await page.getByText('Live', { exact: true }).waitFor();
  });

  for (const [device, frame] of [
    ['desktop', DESKTOP],
    ['phone', PHONE],
  ] as const) {
    for (const colorScheme of ['light', 'dark'] as const) {
      it(`has no fault that axe finds, in ${colorScheme} on a ${device}`, async () => {
        const locale = colorScheme === 'light' ? 'en-US' : 'zh-CN';
        const { page, problems } = await openPage(browser, {
          ...frame,
          ...{ colorScheme, locale, reducedMotion: 'reduce' },
        });
        await page.addInitScript(`sessionStorage.setItem('autoglm.api-key', '${KEY}')`);
        await page.goto(mesh.url);
        await page.getByRole('button', { name: /phone-nano/ }).waitFor();

        const welcome = await faultsOf(page);
        await page.getByRole('button', { name: '打开淘宝' }).click();
        await page.locator('.turn-foot').waitFor();
        await takePicture(page, `chat-${colorScheme}-${device}`);
        const faults = [];
        for (const view of VIEWS) {
          await goTo(page, view);
          if (view === 'requests') await page.locator('.disclose').first().click();
          faults.push(...(await faultsOf(page)));
          const width = await page.evaluate<number>('document.documentElement.scrollWidth');
          assert(width <= (frame.viewport?.width ?? 0), `${view} is ${width} pixels wide`);
          if (view !== 'chat') await takePicture(page, `${view}-${colorScheme}-${device}`);
        }
        assert.deepEqual([...welcome, ...faults], []);
        assert.deepEqual(problems, []);
        await page.context().close();
      });
    }
  }

  it('has logged no error and broken no rule of its policy', () => {
    // What the browser says of answers that the tests asked to fail.
    const expected = /status of 401|net::ERR_FAILED/;
    assert.deepEqual(
      desktop.problems.filter((problem) => !expected.test(problem)),
      [],
    );
  });
});
