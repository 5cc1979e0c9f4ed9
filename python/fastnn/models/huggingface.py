"""Weights under the names that Hugging Face's `transformers` gives them, as the state of fastnn's own layers."""

import re

import fastnn

# (pattern, name here); the layer's number is group 1. Both the names in published files and those of newer releases.
_BERT = (
    (r"embeddings\.word_embeddings\.", "words."),
    (r"embeddings\.position_embeddings\.", "positions."),
    (r"embeddings\.token_type_embeddings\.", "types."),
    (r"embeddings\.LayerNorm\.", "norm."),
    (r"encoder\.layer\.(\d+)\.attention\.self\.(query|key|value)\.", r"layers.\1.self_attn.\2."),
    (r"encoder\.layer\.(\d+)\.attention\.output\.dense\.", r"layers.\1.self_attn.out_proj."),
    (r"encoder\.layer\.(\d+)\.attention\.output\.LayerNorm\.", r"layers.\1.norm1."),
    (r"encoder\.layer\.(\d+)\.intermediate\.dense\.", r"layers.\1.linear1."),
    (r"encoder\.layer\.(\d+)\.output\.dense\.", r"layers.\1.linear2."),
    (r"encoder\.layer\.(\d+)\.output\.LayerNorm\.", r"layers.\1.norm2."),
    (r"pooler\.dense\.", "pooler."),
    (r"cls\.predictions\.transform\.dense\.", "transform."),
    (r"cls\.predictions\.transform\.LayerNorm\.", "transform_norm."),
    (r"cls\.predictions\.bias", "word_bias"),
)
_VIT = (
    (r"embeddings\.cls_token", "start"),
    (r"embeddings\.position_embeddings", "positions"),
    (r"embeddings\.patch_embeddings\.projection\.", "patches."),
    (r"(?:encoder\.layer|layers)\.(\d+)\.attention\.(?:attention\.)?(query|key|value)\.", r"layers.\1.self_attn.\2."),
    (r"layers\.(\d+)\.attention\.([qkv])_proj\.", r"layers.\1.self_attn.\2."),
    (r"(?:encoder\.layer|layers)\.(\d+)\.attention\.(?:output\.dense|o_proj)\.", r"layers.\1.self_attn.out_proj."),
    (r"(?:encoder\.layer|layers)\.(\d+)\.layernorm_before\.", r"layers.\1.norm1."),
    (r"(?:encoder\.layer|layers)\.(\d+)\.layernorm_after\.", r"layers.\1.norm2."),
    (r"encoder\.layer\.(\d+)\.intermediate\.dense\.", r"layers.\1.linear1."),
    (r"encoder\.layer\.(\d+)\.output\.dense\.", r"layers.\1.linear2."),
    (r"layers\.(\d+)\.mlp\.fc1\.", r"layers.\1.linear1."),
    (r"layers\.(\d+)\.mlp\.fc2\.", r"layers.\1.linear2."),
    (r"layernorm\.", "norm."),
    (r"classifier\.", "head."),
)
# Tied to the embedding, or counted by itself here.
_SPARE = r"cls\.predictions\.decoder\.(weight|bias)|embeddings\.position_ids|cls\.seq_relationship\..*|pooler\..*"


def _tensor(value):
    if isinstance(value, fastnn.Tensor):
        return value
    if hasattr(value, "detach"):  # torch's
        value = value.detach().cpu().float().numpy()
    return fastnn.from_numpy(value)


def translate(state: dict, rules) -> tuple[dict, list[str]]:
    """(state with names of this library, the names that no rule knows)."""
    out, parts, unknown = {}, {}, []
    for name, value in state.items():
        short = re.sub(r"^(bert|vit)\.", "", name).replace("LayerNorm.gamma", "LayerNorm.weight")
        short = short.replace("LayerNorm.beta", "LayerNorm.bias")
        for pattern, here in rules:
            new, found = re.subn("^" + pattern, here, short)
            if found:
                break
        else:
            if not re.fullmatch(_SPARE, short):
                unknown.append(name)
            continue
        piece = re.fullmatch(r"(.*self_attn)\.(query|key|value|[qkv])\.(weight|bias)", new)
        if piece:  # three matrices there, one behind the other here
            parts.setdefault(f"{piece[1]}.in_proj_{piece[3]}", {})[piece[2][0]] = _tensor(value)
        else:
            out[new] = _tensor(value)
    for name, found in parts.items():
        if set(found) != set("qkv"):
            raise KeyError(f"{name}: of query, key and value only {sorted(found)} are in the file")
        out[name] = fastnn.cat([found[p] for p in "qkv"])
    return out, unknown


def load(model, state: dict, kind: str):
    """Copy `state` (kind 'bert' or 'vit') into `model`. Raises KeyError, naming them, at weights that are missing or unknown.

    Heads may be missing: what a published encoder lacks, fine-tuning makes.
    """
    found, unknown = translate(state, {"bert": _BERT, "vit": _VIT}[kind])
    if unknown:
        raise KeyError(f"no place for {', '.join(unknown[:5])}{' ...' if len(unknown) > 5 else ''}")
    heads = ("pooler.", "transform", "word_bias", "head.")
    missing = [n for n in model.state_dict() if n not in found and not n.startswith(heads)]
    if missing:
        raise KeyError(f"the file has no {', '.join(missing[:5])}{' ...' if len(missing) > 5 else ''}")
    here = model.state_dict()
    model.load_state_dict({n: v for n, v in found.items() if n in here}, strict=False)
    return model
