"""What is in a client's request, and whether it is in a provider's: read plainly, without the gateway's own notions."""

import base64
import json


class Body:
    """Everything that stands anywhere in a body."""

    def __init__(self, body):
        self.strings, self.objects = [], []
        self.gather(body)
        self.all = "\n".join(self.strings)

    def gather(self, value):
        match value:
            case dict():
                self.objects.append(value)
                for name, member in value.items():
                    self.strings.append(name)
                    self.gather(member)
            case list():
                for member in value:
                    self.gather(member)
            case str():
                self.strings.append(value)
                # Arguments are JSON in a string in some dialects.
                if value.lstrip().startswith("{"):
                    try:
                        inner = json.loads(value)
                    except ValueError:
                        return
                    self.objects.append(inner)

    def says(self, text):
        """As it is, or within JSON that is told as text; white space at an end may go."""
        text = text.strip()
        if text.startswith("{") and self.has_object(text):
            return True
        return text in self.all or json.dumps(text)[1:-1] in self.all or json.dumps(text, ensure_ascii=False)[1:-1] in self.all

    def has_object(self, text):
        """Results of tools that are JSON can be said as such."""
        try:
            return json.loads(text) in self.objects
        except ValueError:
            return False

    def has_data(self, data):
        return data in self.strings or any(data in text for text in self.strings) or self.says_decoded(data)

    def says_decoded(self, data):
        """A document of plain text can be said as such."""
        try:
            return self.says(base64.b64decode(data).decode())
        except ValueError:
            return False


def missing(client, body, dropped=()):
    """What of the client's content is not in `body`. Parameters that were dropped, and named, are not looked for."""
    body = Body(body)
    choice = client.get("tool_choice") or client.get("function_call")
    client = {name: value for name, value in client.items() if name not in dropped}
    lost = []
    for message in client["messages"]:
        lost += [what for what in of_message(message, body)]
    tools = client.get("tools") if isinstance(client.get("tools"), list) else []
    functions = [tool.get("function", {}) for tool in tools] + (client.get("functions") or [])
    # Tools that may not be called can be left out: `tool_choice` is said so where there is no word for it.
    forced = (choice.get("function") or choice).get("name") if isinstance(choice, dict) else None
    left_out = lambda function: choice == "none" or forced not in (None, function.get("name"))
    for function in functions:
        if not (left_out(function) and of_tool(function, body)):
            lost += of_tool(function, body)
    schema = ((client.get("response_format") or {}).get("json_schema") or {}).get("schema")
    return lost + (of_schema(schema, body, "response_format") if schema else [])


def of_message(message, body):
    content = message.get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
    for part in parts:
        if isinstance(part, str):
            part = {"type": "text", "text": part}
        if "text" in part and isinstance(part["text"], str) and not body.says(part["text"]):
            yield f"text {part['text'][:60]!r}"
        for address in addresses(part):
            if address.startswith("data:"):
                address = address.partition(",")[2]
            if not body.has_data(address):
                yield f"{part['type']} {address[:60]!r}"
    calls = [call.get("function", {}) for call in message.get("tool_calls") or []]
    calls += [message["function_call"]] if message.get("function_call") else []
    for call in calls:
        if not body.says(call.get("name", "")):
            yield f"call of {call['name']}"
        arguments = call.get("arguments") or "{}"
        try:
            arguments = json.loads(arguments)
        except ValueError:
            pass
        found = arguments in body.objects if isinstance(arguments, dict) else body.says(str(arguments))
        if not found and arguments != {}:
            yield f"arguments {arguments!r}"


def addresses(part):
    image = part.get("image_url")
    given = [image.get("url") if isinstance(image, dict) else image]
    given += [(part.get("input_audio") or {}).get("data") if isinstance(part.get("input_audio"), dict) else None]
    given += [(part.get("file") or {}).get(name) for name in ("file_data", "file_id")]
    return [address for address in given if address]


def of_tool(function, body):
    lost = [] if body.says(function.get("name", "")) else [f"tool {function['name']}"]
    if not body.says(function.get("description") or ""):
        lost.append(f"description of {function['name']}")
    return lost + of_schema(function.get("parameters") or {}, body, f"tool {function.get('name')}")


def of_schema(schema, body, where):
    """Names of properties, descriptions and enumerated words, wherever they stand."""
    lost = []
    match schema:
        case dict():
            properties = schema.get("properties")
            for name in properties if isinstance(properties, dict) else ():
                if name not in body.strings and not body.says(name):
                    lost.append(f"{where}: property {name}")
            words = [schema.get("description")] + [w for w in schema.get("enum") or [] if isinstance(w, str)]
            lost += [f"{where}: {word!r}" for word in words if isinstance(word, str) and not body.says(word)]
            for member in schema.values():
                lost += of_schema(member, body, where)
        case list():
            for member in schema:
                lost += of_schema(member, body, where)
    return lost


# Members of the client's request that are content, or that only say how the gateway is to answer.
NOT_PARAMETERS = {"messages", "model", "stream", "stream_options", "tools", "functions"}

# Values that say no more than their absence.
NOTHING = {
    "n": (1,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "top_logprobs": (0,),
    "logprobs": (False,),
    "store": (False,),
    "logit_bias": ({},),
    "verbosity": ("medium",),
    "modalities": (["text"],),
    "temperature": (1,),
    "top_p": (1,),
    "parallel_tool_calls": (True,),
    "tool_choice": ("auto", "none"),
    "function_call": ("auto", "none"),
    "response_format": ({"type": "text"},),
    "service_tier": ("auto", "default"),
    "stop": ([], ""),
    "metadata": ({},),
}

REASONING = ("reasoning_effort", "reasoning", "thinking")

# What a parameter may have become, as paths in the provider's body.
MAPPED = {
    "anthropic": {
        "max_completion_tokens": ["max_tokens"],
        "stop": ["stop_sequences"],
        "function_call": ["tool_choice"],
        "parallel_tool_calls": ["tool_choice.disable_parallel_tool_use"],
        "response_format": ["output_config.format"],
        "user": ["metadata.user_id"],
        "safety_identifier": ["metadata.user_id"],
        **{name: ["thinking", "output_config.effort"] for name in REASONING},
    },
    "gemini": {
        "max_tokens": ["generationConfig.maxOutputTokens"],
        "max_completion_tokens": ["generationConfig.maxOutputTokens"],
        "temperature": ["generationConfig.temperature"],
        "top_p": ["generationConfig.topP"],
        "top_k": ["generationConfig.topK"],
        "stop": ["generationConfig.stopSequences"],
        "n": ["generationConfig.candidateCount"],
        "seed": ["generationConfig.seed"],
        "frequency_penalty": ["generationConfig.frequencyPenalty"],
        "presence_penalty": ["generationConfig.presencePenalty"],
        "logprobs": ["generationConfig.responseLogprobs"],
        "top_logprobs": ["generationConfig.logprobs"],
        "response_format": ["generationConfig.responseMimeType"],
        "modalities": ["generationConfig.responseModalities"],
        "tool_choice": ["toolConfig.functionCallingConfig"],
        "function_call": ["toolConfig.functionCallingConfig"],
        "service_tier": ["serviceTier"],
        "safety_settings": ["safetySettings"],
        "cached_content": ["cachedContent"],
        "metadata": ["labels"],
        "image_config": ["generationConfig.imageConfig"],
        "audio": ["generationConfig.speechConfig"],
        **{name: ["generationConfig.thinkingConfig"] for name in REASONING},
    },
    "bedrock": {
        "max_tokens": ["inferenceConfig.maxTokens"],
        "max_completion_tokens": ["inferenceConfig.maxTokens"],
        "temperature": ["inferenceConfig.temperature"],
        "top_p": ["inferenceConfig.topP", "additionalModelRequestFields.top_p"],
        "top_k": ["additionalModelRequestFields.top_k", "additionalModelRequestFields.inferenceConfig.topK"],
        "stop": ["inferenceConfig.stopSequences"],
        "tool_choice": ["toolConfig.toolChoice"],
        "function_call": ["toolConfig.toolChoice"],
        "parallel_tool_calls": ["additionalModelRequestFields.tool_choice.disable_parallel_tool_use"],
        "response_format": ["outputConfig.textFormat"],
        "service_tier": ["serviceTier"],
        "metadata": ["requestMetadata"],
        "user": ["requestMetadata"],
        **{name: ["additionalModelRequestFields"] for name in REASONING},
    },
    "cohere": {
        "max_completion_tokens": ["max_tokens"],
        "top_p": ["p"],
        "top_k": ["k"],
        "stop": ["stop_sequences"],
        **{name: ["thinking"] for name in REASONING},
    },
    "mistral": {
        "max_completion_tokens": ["max_tokens"],
        "seed": ["random_seed"],
        "function_call": ["tool_choice"],
        **{name: ["reasoning_effort"] for name in REASONING},
    },
    "azure-openai": {},
    "ollama": {
        "max_tokens": ["options.num_predict"],
        "max_completion_tokens": ["options.num_predict"],
        "response_format": ["format"],
        **{name: ["think"] for name in REASONING},
    },
}


# By what a search is known among the tools.
SEARCHES = {"anthropic": "web_search_20250305", "gemini": "googleSearch", "bedrock": "nova_grounding"}


def unreported(kind, client, body, dropped):
    """Parameters that neither became something nor are named as dropped."""
    mapped = MAPPED[kind]
    lost = []
    for name, value in client.items():
        # By OpenAI's name, whichever of the spellings the client has used.
        names = REASONING if name in REASONING else (name,)
        told = any(path == name or path.startswith((name + ".", name + "[")) for path in dropped for name in names)
        nothing = value is None or any(value == default for default in NOTHING.get(name, ()))
        # Without tools there is nothing to be called at once.
        # A turn that has to be a call has no text that could have a format.
        nothing |= name == "response_format" and is_forced(client)
        told |= name == "web_search_options" and kind in SEARCHES and f'"{SEARCHES[kind]}"' in json.dumps(body)
        nothing |= name == "parallel_tool_calls" and not client.get("tools")
        # What does not think unless it is told to need not be told not to.
        nothing |= name in REASONING and value in ("none", {"type": "disabled"}, {"enabled": False}, {"effort": "none"})
        paths = [name, f"options.{name}", *mapped.get(name, [])]
        if name not in NOT_PARAMETERS and not told and not nothing and not any(at(body, path) for path in paths):
            lost.append(f"{name} = {json.dumps(value)[:60]}")
    return lost


def is_forced(client):
    return bool(client.get("tools")) and (client.get("tool_choice") == "required" or isinstance(client.get("tool_choice"), dict))


def at(body, path):
    """Whether there is something, be it false."""
    for name in path.split("."):
        if not isinstance(body, dict) or name not in body:
            return False
        body = body[name]
    return True
