/** Tokens that an answer is expected to have left, unless its request allows fewer. */
export const EXPECTED_ANSWER_TOKENS = 128;
