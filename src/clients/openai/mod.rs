//! OpenAI's chat completions, as clients write and read them.
