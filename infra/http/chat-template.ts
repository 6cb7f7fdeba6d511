import { Template } from '@huggingface/jinja';
import { ApiError } from './api-error.ts';
import type { Message } from './openai-requests.ts';

/** For a model that has only ever read text: a conversation as a script, in which the assistant speaks next. */
export const plainTemplate = `{% for message in messages %}{{ message.role | capitalize }}: {{ message.content }}
{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}`;

/** Puts a conversation into the text that the model goes on with, by a template as Hugging Face's tokenizers have it. */
export function chatTemplate(source: string): (messages: readonly Message[]) => string {
  const template = new Template(source);
  return (messages) => {
    try {
      return template.render({ messages: messages.map((message) => ({ ...message })), add_generation_prompt: true });
    } catch (error) {
      throw new ApiError(400, `The chat template can't take these messages: ${String(error)}.`, { param: 'messages' });
    }
  };
}
