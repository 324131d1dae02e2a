/** The fields of other servers' request schemas, by route and server, as of November 2026. */
export const UPSTREAM_FIELDS = {
  responses: {
    OpenAI: `background context_management conversation include input instructions max_output_tokens
      max_tool_calls metadata model moderation parallel_tool_calls previous_response_id prompt
      prompt_cache_key prompt_cache_options prompt_cache_retention reasoning safety_identifier
      service_tier store stream stream_options temperature text tool_choice tools top_logprobs top_p
      truncation user`,
    vLLM: `background include input instructions max_output_tokens max_tool_calls metadata model
      logit_bias parallel_tool_calls previous_response_id prompt reasoning service_tier store stream
      temperature text tool_choice tools top_logprobs top_p top_k truncation user skip_special_tokens
      include_stop_str_in_output prompt_cache_key request_id media_io_kwargs mm_processor_kwargs
      priority cache_salt enable_response_messages previous_input_messages structured_outputs
      presence_penalty frequency_penalty repetition_penalty seed stop ignore_eos vllm_xargs
      kv_transfer_params chat_template_kwargs`,
  },
  chat: {
    OpenAI: `messages model audio frequency_penalty function_call functions logit_bias logprobs
      max_completion_tokens max_tokens metadata modalities moderation n parallel_tool_calls prediction
      presence_penalty prompt_cache_key prompt_cache_options prompt_cache_retention reasoning_effort
      response_format safety_identifier seed service_tier stop store stream stream_options temperature
      tool_choice tools top_logprobs top_p user verbosity web_search_options`,
    vLLM: `messages model frequency_penalty logit_bias logprobs top_logprobs max_tokens
      max_completion_tokens n presence_penalty response_format seed stop stream stream_options
      temperature top_p tools tool_choice reasoning_effort thinking_token_budget include_reasoning
      parallel_tool_calls user use_beam_search top_k min_p repetition_penalty watermarking
      length_penalty stop_token_ids include_stop_str_in_output ignore_eos min_tokens
      skip_special_tokens spaces_between_special_tokens truncate_prompt_tokens truncation_side
      prompt_logprobs logprob_token_ids allowed_token_ids bad_words echo add_generation_prompt
      continue_final_message add_special_tokens documents chat_template chat_template_kwargs
      media_io_kwargs mm_processor_kwargs structured_outputs priority request_id session_id
      return_tokens_as_token_ids return_token_ids routed_experts_prompt_start return_token_offsets
      return_prompt_text return_mm_kwargs cache_salt kv_transfer_params ec_transfer_params vllm_xargs
      repetition_detection stream_interval guided_json guided_regex guided_choice guided_grammar
      guided_decoding_backend guided_whitespace_pattern structural_tag logits_processors best_of`,
    SGLang: `messages model frequency_penalty logit_bias logprobs top_logprobs max_tokens
      max_completion_tokens n presence_penalty response_format seed stop stream stream_options
      temperature top_p user tools tool_choice parallel_tool_calls return_hidden_states
      return_routed_experts routed_experts_start_len return_cached_tokens_details
      return_prompt_token_ids return_token_ids return_meta_info reasoning_effort reasoning task top_k
      min_p min_tokens regex ebnf repetition_penalty stop_token_ids stop_regex no_stop_trim ignore_eos
      continue_final_message skip_special_tokens lora_path session_id session_params
      separate_reasoning stream_reasoning chat_template_kwargs max_dynamic_patch min_dynamic_patch
      use_audio_in_video images_config custom_logit_processor custom_params input_ids rid extra_key
      cache_salt ngram_corpus_id priority bootstrap_host bootstrap_port bootstrap_room routed_dp_rank
      disagg_prefill_dp_rank data_parallel_rank`,
    'llama.cpp': `verbose timings_per_token stream stream_options cache_prompt return_tokens
      return_progress sse_ping_interval n_predict max_completion_tokens max_tokens n_indent n_keep
      n_discard n_cmpl n n_cache_reuse t_max_predict_ms response_fields top_k top_p min_p top_n_sigma
      xtc_probability xtc_threshold typical_p temperature dynatemp_range dynatemp_exponent
      repeat_last_n repeat_penalty frequency_penalty presence_penalty dry_multiplier dry_base
      dry_allowed_length dry_penalty_last_n mirostat mirostat_tau mirostat_eta adaptive_target
      adaptive_decay seed n_probs logprobs min_keep backend_sampling post_sampling_probs lora
      dry_sequence_breakers json_schema grammar grammar_type grammar_lazy chat_format reasoning_format
      generation_prompt parse_tool_calls chat_parser continue_final_message echo preserved_tokens
      grammar_triggers reasoning_control reasoning_budget_tokens reasoning_budget_start_tag
      reasoning_budget_end_tags reasoning_budget_end_tag reasoning_budget_message logit_bias
      ignore_eos stop samplers id_slot messages tools tool_choice chat_template_kwargs
      add_generation_prompt response_format`,
    Zhipu: 'thinking do_sample request_id',
  },
  embeddings: {
    OpenAI: 'input model dimensions encoding_format user',
    vLLM: `input model messages encoding_format dimensions user truncate_prompt_tokens truncation_side
      add_special_tokens add_generation_prompt continue_final_message chat_template
      chat_template_kwargs media_io_kwargs mm_processor_kwargs priority request_id cache_salt
      use_activation normalize embed_dtype endianness`,
    SGLang: 'input model encoding_format dimensions user rid priority lora_path',
    'llama.cpp': 'input content encoding_format embd_normalize dimensions',
  },
  messages: {
    Anthropic: `model messages max_tokens system metadata stop_sequences stream temperature top_p top_k
      thinking tools tool_choice cache_control container context_management diagnostics inference_geo
      mcp_servers output_config output_format service_tier speed user_profile_id workspace_id`,
    vLLM: `model messages max_tokens metadata stop_sequences stream system temperature tool_choice tools
      top_k top_p`,
  },
  countTokens: {
    Anthropic: `model messages system thinking tools tool_choice cache_control context_management
      mcp_servers output_config output_format speed`,
  },
  completions: {
    OpenAI: `model prompt best_of echo frequency_penalty logit_bias logprobs max_tokens n
      presence_penalty seed stop stream stream_options suffix temperature top_p user`,
    vLLM: `model prompt echo frequency_penalty logit_bias logprobs max_tokens n presence_penalty seed
      stop stream stream_options suffix temperature top_p user use_beam_search top_k min_p
      repetition_penalty watermarking length_penalty stop_token_ids include_stop_str_in_output
      ignore_eos min_tokens skip_special_tokens spaces_between_special_tokens truncate_prompt_tokens
      truncation_side allowed_token_ids prompt_logprobs logprob_token_ids bad_words prompt_embeds
      add_special_tokens response_format structured_outputs priority request_id session_id
      return_tokens_as_token_ids return_token_ids routed_experts_prompt_start return_token_offsets
      return_mm_kwargs cache_salt kv_transfer_params ec_transfer_params vllm_xargs
      repetition_detection thinking_token_budget stream_interval guided_json guided_regex
      guided_choice guided_grammar logits_processors best_of`,
    SGLang: `model prompt best_of echo frequency_penalty logit_bias logprobs max_tokens n
      presence_penalty seed stop stream stream_options suffix temperature top_p user
      return_hidden_states return_routed_experts routed_experts_start_len return_cached_tokens_details
      return_token_ids top_k min_p min_tokens json_schema regex ebnf repetition_penalty stop_token_ids
      stop_regex no_stop_trim ignore_eos skip_special_tokens lora_path session_id session_params
      response_format custom_params custom_logit_processor images_config bootstrap_host bootstrap_port
      bootstrap_room routed_dp_rank disagg_prefill_dp_rank data_parallel_rank rid extra_key cache_salt
      ngram_corpus_id priority custom_labels`,
    'llama.cpp': `prompt stream cache_prompt return_tokens n_predict max_tokens n_indent n_keep n_discard
      n_cmpl n t_max_predict_ms response_fields top_k top_p min_p top_n_sigma xtc_probability
      xtc_threshold typical_p temperature dynatemp_range dynatemp_exponent repeat_last_n
      repeat_penalty frequency_penalty presence_penalty dry_multiplier dry_base mirostat mirostat_tau
      seed n_probs logprobs min_keep post_sampling_probs lora json_schema grammar logit_bias ignore_eos
      stop samplers id_slot image_data timings_per_token`,
  },
  transcriptions: {
    OpenAI: `file model chunking_strategy include known_speaker_names known_speaker_references language
      prompt response_format stream temperature timestamp_granularities`,
    vLLM: `file model language hotwords prompt response_format timestamp_granularities stream
      stream_include_usage stream_continuous_usage_stats vllm_xargs to_language vad_config.enabled
      vad_config.threshold vad_config.neg_threshold vad_config.min_speech_duration_ms
      vad_config.max_speech_duration_s vad_config.min_silence_duration_ms vad_config.speech_pad_ms
      vad_config.min_silence_at_max_speech_ms vad_config.use_max_poss_sil_at_max_speech
      use_beam_search n length_penalty include_stop_str_in_output temperature top_p top_k min_p seed
      frequency_penalty repetition_penalty presence_penalty max_completion_tokens`,
  },
  tokenize: {
    vLLM: `model prompt add_special_tokens return_token_strs messages add_generation_prompt
      continue_final_message chat_template chat_template_kwargs media_io_kwargs mm_processor_kwargs
      tools`,
    'llama.cpp': 'content add_special parse_special with_pieces',
  },
  detokenize: { vLLM: 'model tokens', SGLang: 'model tokens skip_special_tokens' },
} as const;

/** Returns the names in a list of the table. */
export function namesIn(list: string): string[] {
  return list.split(/\s+/).filter((name) => name !== '');
}
