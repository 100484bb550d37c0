//! In what the model is to answer: `responseModalities`, `speechConfig`, `imageConfig`.
//!
//! <https://ai.google.dev/gemini-api/docs/speech-generation>, <https://ai.google.dev/gemini-api/docs/image-generation>

use super::super::Dropped;
use crate::json::{Str, Value, Writer};

/// What the client says of it, in OpenAI's words and OpenRouter's.
#[derive(Default)]
pub(super) struct Modalities<'a> {
    /// `modalities`
    pub list: Option<Value<'a>>,
    /// `audio`
    pub audio: Option<Value<'a>>,
    /// `image_config`
    pub image: Option<Value<'a>>,
}

/// OpenAI's voices, of which Google has none.
const FOREIGN_VOICES: &[&str] =
    &["alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer", "verse"];

impl Modalities<'_> {
    /// Writes what there is, and names what cannot be had in `dropped`. Sound comes in the format that the client gets it in:
    /// WAV, and bare samples in a `stream`.
    pub(super) fn write(&self, stream: bool, dropped: &mut Dropped, w: &mut Writer<'_>) {
        let words: Vec<Str<'_>> = self.list.into_iter().flat_map(Value::elements).filter_map(Value::as_str).collect();
        let has = |word: &str| words.iter().any(|other| *other == *word);
        if words.iter().any(|word| !["text", "audio", "image"].iter().any(|known| *word == **known)) {
            dropped.push("modalities".to_owned());
        }
        // OpenAI's models speak and write; "The requested combination of response modalities (TEXT, AUDIO) is not supported".
        let said = match (has("audio"), has("image"), has("text")) {
            (true, _, _) => &["AUDIO"][..],
            (false, true, true) => &["TEXT", "IMAGE"],
            (false, true, false) => &["IMAGE"],
            (false, false, _) => &[],
        };
        if !said.is_empty() {
            w.name("responseModalities").array(|w| said.iter().for_each(|word| w.value(*word)));
        }
        match self.audio {
            Some(audio) if has("audio") => write_speech(audio, stream, dropped, w),
            Some(_) => dropped.push("audio".to_owned()),
            None => {}
        }
        self.write_image(dropped, w);
    }

    /// <https://openrouter.ai/docs/guides/overview/multimodal/image-generation#image-configuration-options>
    fn write_image(&self, dropped: &mut Dropped, w: &mut Writer<'_>) {
        let Some(image) = self.image else { return };
        let known = [("aspect_ratio", "aspectRatio"), ("image_size", "imageSize")];
        let value = |name: &str| image.get(name).filter(|value| !value.is_null());
        if image.members().any(|(name, _)| !known.iter().any(|(known, _)| name == *known)) {
            dropped.push("image_config".to_owned());
        }
        if known.iter().any(|(name, _)| value(name).is_some()) {
            w.name("imageConfig").object(|w| {
                known.iter().for_each(|(name, own)| w.field_some(own, &value(name)));
            });
        }
    }
}

fn write_speech(audio: Value<'_>, stream: bool, dropped: &mut Dropped, w: &mut Writer<'_>) {
    let word = |name: &str| audio.get(name).and_then(Value::as_str);
    let format = if stream { "pcm16" } else { "wav" };
    if word("format").is_some_and(|word| word != format) {
        dropped.push("audio.format".to_owned());
    }
    let is_foreign = |voice: &Str<'_>| FOREIGN_VOICES.iter().any(|foreign| *voice == **foreign);
    match word("voice") {
        Some(voice) if is_foreign(&voice) => dropped.push("audio.voice".to_owned()),
        Some(voice) => w.name("speechConfig").object(|w| {
            w.name("voiceConfig").object(|w| {
                w.name("prebuiltVoiceConfig").object(|w| w.field("voiceName", &voice));
            });
        }),
        None => {}
    }
}
