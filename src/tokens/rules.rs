//! What models make of things besides text, and how far their vocabularies are from the one that texts are estimated by.
//!
//! - OpenAI: <https://platform.openai.com/docs/guides/images-vision#calculating-costs>; tools and messages by what
//!   OpenAI's cookbook and recorded requests show.
//! - Anthropic: <https://platform.claude.com/docs/en/build-with-claude/vision#evaluate-image-size>,
//!   <https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview#pricing>,
//!   <https://platform.claude.com/docs/en/build-with-claude/pdf-support#estimate-your-costs>
//! - Gemini: <https://ai.google.dev/gemini-api/docs/tokens#multimodal-tokens>
//! - Voxtral: <https://docs.mistral.ai/capabilities/audio>

/// How one model counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Tokens of text, as parts of a hundred of what is estimated.
    pub(super) text_percent: u32,
    /// Tokens of every conversation.
    pub(super) request: u32,
    /// Tokens of each message besides its text.
    pub(super) message: u32,
    /// Tokens of each call besides its text.
    pub(super) call: u32,
    /// Tokens of what a model is told of tools as soon as there is one.
    pub(super) tools: u32,
    /// Tokens of the tools themselves, as parts of a hundred of what their JSON would be as text: models get them in
    /// other forms, some shorter.
    pub(super) tool_percent: u32,
    image: Image,
    /// Tokens of ten seconds of sound.
    sound: u32,
    /// Tokens of a page.
    page: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Image {
    /// Squares of 512 pixels, after the image was brought to 2048 by 768 at most.
    Tiles { base: u32, tile: u32 },
    /// Squares of 32 pixels, 1536 of them at most, each so many hundredths of a token.
    Patches { percent: u32 },
    /// Pixels by 750, after the image was brought to 1568 by 1568 and 1600 tokens at most.
    Claude,
    /// Squares of 768 pixels; one if it is small.
    Gemini,
}

impl Rules {
    /// For a model of that name, whoever serves it: dialects carry requests, but models count them.
    pub fn of(model: &str) -> Self {
        let named =
            |part: &&str| model.as_bytes().windows(part.len()).any(|name| name.eq_ignore_ascii_case(part.as_bytes()));
        FAMILIES.iter().find(|(parts, _)| parts.iter().any(named)).map_or(OTHER, |(_, rules)| *rules)
    }

    /// Tokens of an image of that width and height, if it is known.
    pub(super) fn image(self, size: Option<(u32, u32)>, low: bool) -> u64 {
        let (width, height) = size.unwrap_or(USUAL_SIZE);
        let (width, height) = (u64::from(width.clamp(1, MOST_PIXELS)), u64::from(height.clamp(1, MOST_PIXELS)));
        let (long, short) = (width.max(height), width.min(height));
        match self.image {
            Image::Tiles { base, .. } if low => u64::from(base),
            Image::Tiles { base, tile } => {
                let (long, short) = fit(long, short, 2048, long);
                let (long, short) = fit(long, short, long, 768);
                u64::from(base) + u64::from(tile) * long.div_ceil(512) * short.div_ceil(512)
            }
            Image::Patches { percent } => (long.div_ceil(32) * short.div_ceil(32)).min(1536) * u64::from(percent) / 100,
            Image::Claude => {
                let (long, short) = fit(long, short, 1568, long);
                (long * short / 750).clamp(1, 1600)
            }
            Image::Gemini if long <= 384 => 258,
            Image::Gemini => 258 * long.div_ceil(768) * short.div_ceil(768),
        }
    }

    pub(super) fn sound(self, milliseconds: u64) -> u64 {
        milliseconds.saturating_mul(u64::from(self.sound)) / 10_000
    }

    /// Tokens of a file of so many bytes. How many pages it has is a guess: one for each 50 kB.
    pub(super) fn file(self, bytes: Option<u64>) -> u64 {
        let pages = bytes.map_or(1, |bytes| bytes.div_ceil(50_000).max(1));
        pages.saturating_mul(u64::from(self.page))
    }
}

/// Brought to a long side and a short side of that at most, its shape kept.
fn fit(long: u64, short: u64, most_long: u64, most_short: u64) -> (u64, u64) {
    let (long, short) = if long > most_long { (most_long, (short * most_long / long).max(1)) } else { (long, short) };
    if short > most_short { ((long * most_short / short).max(1), most_short) } else { (long, short) }
}

/// Of an image behind a URL, or one that does not say.
const USUAL_SIZE: (u32, u32) = (1024, 1024);
/// No provider takes more; and squares of it do not overflow.
const MOST_PIXELS: u32 = 1 << 16;

/// As OpenAI's models count, which others are like more or less.
const OTHER: Rules = Rules {
    text_percent: 100,
    request: 3,
    message: 3,
    call: 8,
    tools: 25,
    tool_percent: 60,
    image: Image::Tiles { base: 85, tile: 170 },
    sound: 100,
    page: 1500,
};
/// Its tools cost 346 tokens and more by Anthropic's page, and some 520 in recordings of models of 2025's end.
const CLAUDE: Rules =
    Rules { text_percent: 115, request: 4, tools: 400, tool_percent: 130, image: Image::Claude, page: 2250, ..OTHER };
const GEMINI: Rules =
    Rules { request: 0, message: 1, tools: 0, tool_percent: 50, image: Image::Gemini, sound: 320, page: 258, ..OTHER };
const GPT_5: Rules = Rules { tools: 105, tool_percent: 75, image: Image::Tiles { base: 70, tile: 140 }, ..OTHER };
const MISTRAL: Rules = Rules { text_percent: 110, tools: 30, tool_percent: 100, sound: 125, ..OTHER };

/// By what is in a model's name in small letters, the first that fits. Where no page is named above, what is told of tools and
/// before a prompt is from recordings.
const FAMILIES: &[(&[&str], Rules)] = &[
    (&["claude"], CLAUDE),
    (&["gemini"], GEMINI),
    (&["gpt-oss"], Rules { request: 70, ..OTHER }),
    (&["gpt-5-nano"], Rules { image: Image::Patches { percent: 246 }, ..GPT_5 }),
    (&["gpt-5-mini"], Rules { image: Image::Patches { percent: 162 }, ..GPT_5 }),
    (&["gpt-5"], GPT_5),
    (&["gpt-4.1-nano"], Rules { image: Image::Patches { percent: 246 }, ..OTHER }),
    (&["gpt-4.1-mini"], Rules { image: Image::Patches { percent: 162 }, ..OTHER }),
    (&["o4-mini"], Rules { image: Image::Patches { percent: 172 }, ..OTHER }),
    (&["gpt-4o-mini"], Rules { image: Image::Tiles { base: 2833, tile: 5667 }, ..OTHER }),
    (&["grok"], Rules { text_percent: 120, request: 6, tools: 200, tool_percent: 100, ..OTHER }),
    (&["qwen"], Rules { request: 8, tools: 160, tool_percent: 100, ..OTHER }),
    (&["glm"], Rules { tools: 130, tool_percent: 100, ..OTHER }),
    (&["deepseek"], Rules { tools: 240, tool_percent: 100, ..OTHER }),
    (&["mistral", "ministral", "magistral", "codestral", "pixtral", "voxtral"], MISTRAL),
    (&["llama"], Rules { request: 33, tool_percent: 100, ..OTHER }),
    (&["palmyra"], Rules { request: 30, tools: 120, tool_percent: 100, ..OTHER }),
    (&["kimi"], Rules { tools: 35, tool_percent: 100, ..OTHER }),
];

#[cfg(test)]
mod tests {
    use super::{Image, OTHER, Rules};

    #[test]
    fn images_cost_what_the_providers_pages_say() {
        for (model, size, low, expected) in [
            // "1024 x 1024 ... 765", "2048 x 4096 ... 1105", "4096 x 8192 in low ... 85".
            ("gpt-4o", Some((1024, 1024)), false, 765),
            ("gpt-4o", Some((2048, 4096)), false, 1105),
            ("gpt-4o", Some((4096, 8192)), true, 85),
            ("gpt-5", Some((1024, 1024)), false, 70 + 4 * 140),
            // "1024 patches".
            ("gpt-4.1-mini", Some((1024, 1024)), false, 1658),
            ("gpt-5-nano", Some((4096, 4096)), false, 1536 * 246 / 100),
            // "200x200 ... ~54", "1000x1000 ... ~1334", "1092x1092 ... ~1590".
            ("claude-sonnet-4-5", Some((200, 200)), false, 53),
            ("claude-sonnet-4-5", Some((1000, 1000)), false, 1333),
            ("claude-sonnet-4-5", Some((1092, 1092)), false, 1589),
            ("claude-sonnet-4-5", Some((4000, 4000)), false, 1600),
            // "both dimensions <= 384 ... 258".
            ("gemini-2.5-flash", Some((384, 384)), false, 258),
            ("gemini-2.5-flash", Some((1536, 769)), false, 4 * 258),
            ("anything", None, false, 765),
            ("anything", Some((0, 0)), false, 255),
            ("anything", Some((u32::MAX, 1)), false, 85 + 4 * 170),
        ] {
            assert_eq!(Rules::of(model).image(size, low), expected, "{model} {size:?}");
        }
    }

    #[test]
    fn sound_and_files_go_by_length() {
        // "Gemini represents each second of audio as 32 tokens", and each page of a document as 258.
        assert_eq!(Rules::of("gemini-2.5-flash").sound(10_000), 320);
        assert_eq!(Rules::of("gemini-2.5-flash").file(Some(100_000)), 2 * 258);
        assert_eq!(Rules::of("gpt-4o-audio-preview").sound(3_000), 30);
        assert_eq!(Rules::of("gpt-4o").file(None), 1500);
        assert_eq!(OTHER.sound(u64::MAX), u64::MAX / 10_000);
        assert_eq!(OTHER.file(Some(u64::MAX)), (u64::MAX.div_ceil(50_000)).saturating_mul(1500));
    }

    #[test]
    fn a_family_is_told_by_the_models_name() {
        assert_eq!(Rules::of("us.anthropic.Claude-3").image, Image::Claude);
        assert_eq!(Rules::of("openai/gpt-oss-20b").request, 70);
        assert_eq!(Rules::of("gpt-5-nano-2025-08-07").image, Image::Patches { percent: 246 });
        for model in ["", "é", "my-deployment"] {
            assert_eq!(Rules::of(model), OTHER, "{model}");
        }
    }
}
