import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import sharp from 'sharp';
import type { GenerateStart } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { saying } from '#test/contract/gateway/fake-backbone.ts';
import { type Harness, startHarness } from '#test/contract/gateway/harness.ts';
import { scratchFolder } from '#test/scratch-folder.ts';

// Read when the package is loaded: where it keeps its logs.
process.env['MIDSCENE_RUN_DIR'] = scratchFolder('midscene');
const { Agent } = await import('@midscene/core/agent');
const { defineActionTap } = await import('@midscene/core/device');

const SIZE = { width: 400, height: 800 };

/** A phone whose screen never changes; it notes where it is tapped. */
class FakePhone {
  readonly interfaceType = 'fake-phone';
  readonly taps: { readonly x: number; readonly y: number }[] = [];

  async screenshotBase64(): Promise<string> {
    const image = sharp({ create: { ...SIZE, channels: 3, background: 'white' } });
    return `data:image/png;base64,${(await image.png().toBuffer()).toString('base64')}`;
  }

  async size() {
    return SIZE;
  }

  actionSpace() {
    const tap = defineActionTap(async ({ x, y }) => {
      this.taps.push({ x, y });
    });
    return [tap];
  }
}

let harness: Harness;
before(async () => {
  harness = await startHarness();
});
after(() => harness.close());

function agentOn(phone: FakePhone) {
  return new Agent(phone, {
    generateReport: false,
    autoPrintReportMsg: false,
    modelConfig: {
      MIDSCENE_MODEL_NAME: 'phone-nano',
      MIDSCENE_MODEL_BASE_URL: `${harness.url}/v1`,
      MIDSCENE_MODEL_API_KEY: 'key',
      MIDSCENE_MODEL_FAMILY: 'glm-v',
    },
  });
}

/** Returns the conversation of a request. */
function chatOf(start: GenerateStart | undefined) {
  const form = start?.prompt?.form;
  assert(form?.$case === 'chat');
  return form.value;
}

describe('Midscene with a model of the family glm-v', () => {
  it('taps where the model says that an element is', async () => {
    const phone = new FakePhone();
    harness.backbone.script = () => saying('```json\n{"bbox": [100, 200,', ' 300, 400]}\n```');

    await agentOn(phone).aiTap('the login button');

    // The box is of thousandths of the screen.
    assert.deepEqual(phone.taps, [{ x: 80, y: 240 }]);
    const { messages, templateArgs } = chatOf(harness.backbone.starts.at(-1));
    assert.deepEqual(templateArgs, { enable_thinking: false });
    assert.deepEqual(
      messages.map(({ role }) => role),
      ['system', 'user'],
    );
    assert.equal(harness.backbone.uploads.at(-1)?.length, 1);
  });

  it('reads what it asks for from a screen', async () => {
    const answer = '<thought>a title</thought><data-json>{"title": "Inbox"}</data-json>';
    harness.backbone.script = () => saying(answer);

    const found = await agentOn(new FakePhone()).aiQuery('{title: string}');

    assert.deepEqual(found, { title: 'Inbox' });
  });

  it('says why nothing is tapped if the model finds nothing', async () => {
    const phone = new FakePhone();
    harness.backbone.script = () => saying('{"bbox": [], "error": "no button here"}');

    await assert.rejects(agentOn(phone).aiTap('the login button'), /no button here/);

    assert.deepEqual(phone.taps, []);
  });
});
