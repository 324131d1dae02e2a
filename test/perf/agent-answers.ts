/** One turn of an agent that operates a phone, in the form of Open-AutoGLM. */
export interface AgentTurn {
  readonly screen: string;
  readonly answer: string;
}

/** Rules of the actions, in the form of the client's own system prompt. */
export const AGENT_RULES = [
  'You are an agent that operates a phone. Answer as <think>{think}</think><answer>{action}</answer>.',
  'do(action="Launch", app="xxx") starts an app, which is faster than looking for its icon.',
  'do(action="Tap", element=[x,y]) taps a point; the screen reaches from (0,0) to (999,999).',
  'do(action="Type", text="xxx") types into the field that has the focus.',
  'do(action="Swipe", start=[x1,y1], end=[x2,y2]) swipes; do(action="Back") goes back.',
  'do(action="Wait", duration="x seconds") waits; finish(message="xxx") ends the task.',
].join('\n');

export const AGENT_TASK = 'Send the message "I will be ten minutes late" to Li Wei in WeChat';

/** The turns of one task, answers as a model of this kind writes them. */
export const AGENT_TURNS: readonly AgentTurn[] = [
  {
    screen: '{"current_app": "System Home"}',
    answer:
      '<think>I need to open WeChat. Launch is faster than looking for its icon.</think><answer>do(action="Launch", app="WeChat")</answer>',
  },
  {
    screen: '{"current_app": "WeChat"}',
    answer:
      '<think>WeChat is open and shows the list of chats. I need to find Li Wei, so I tap the search icon.</think><answer>do(action="Tap", element=[842,76])</answer>',
  },
  {
    screen: '{"current_app": "WeChat"}',
    answer:
      '<think>The search field has the focus. I type the name Li Wei.</think><answer>do(action="Type", text="Li Wei")</answer>',
  },
  {
    screen: '{"current_app": "WeChat"}',
    answer:
      '<think>Li Wei is the first result. I tap it to open the chat.</think><answer>do(action="Tap", element=[498,193])</answer>',
  },
  {
    screen: '{"current_app": "WeChat"}',
    answer:
      '<think>The chat with Li Wei is open. I tap the field at the bottom to type the message.</think><answer>do(action="Tap", element=[452,948])</answer>',
  },
  {
    screen: '{"current_app": "WeChat"}',
    answer:
      '<think>The field has the focus. I type the message "I will be ten minutes late".</think><answer>do(action="Type", text="I will be ten minutes late")</answer>',
  },
  {
    screen: '{"current_app": "WeChat"}',
    answer:
      '<think>The message "I will be ten minutes late" is in the field. I tap the button to send it.</think><answer>do(action="Tap", element=[921,948])</answer>',
  },
  {
    screen: '{"current_app": "WeChat"}',
    answer:
      '<think>The message "I will be ten minutes late" has been sent to Li Wei in WeChat. The task is done.</think><answer>finish(message="The message \\"I will be ten minutes late\\" was sent to Li Wei in WeChat")</answer>',
  },
];
