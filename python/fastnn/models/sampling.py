"""Choosing the next token: temperature, top-k, top-p; and writing on, with a cache where the model has one."""

import fastnn


def filter_logits(logits, top_k: int | None = None, top_p: float | None = None):
    """`logits` [..., V] with -inf in place of what is not among the candidates.

    top_k keeps the k largest (all that tie with the k-th); top_p the fewest whose probabilities add up to at least p,
    the most probable one always. With both, top_p counts within the top k.
    """
    if top_k is not None:
        if top_k < 1:
            raise ValueError(f"filter_logits: top_k must be at least 1, got {top_k}")
        least = logits.topk(min(top_k, logits.shape[-1]), dim=-1)[0][..., -1:]
        logits = logits.masked_fill(logits < least, float("-inf"))
    if top_p is not None:
        if not 0 < top_p <= 1:
            raise ValueError(f"filter_logits: top_p must lie in (0, 1], got {top_p}")
        ordered, order = logits.sort(dim=-1, descending=True)
        p = ordered.softmax(-1)
        # What comes before already suffices: the candidate is not needed.
        surplus = p.cumsum(-1) - p >= top_p
        logits = logits.masked_fill(fastnn.zeros_like(surplus).scatter(-1, order, surplus), float("-inf"))
    return logits


def sample(logits, temperature: float = 1.0, top_k=None, top_p=None, generator=None):
    """Token numbers [...] (int64) drawn from softmax(logits [..., V] / temperature); temperature 0 takes the largest."""
    if temperature < 0:
        raise ValueError(f"sample: temperature must not be negative, got {temperature}")
    if temperature == 0:
        return logits.argmax(-1)
    p = filter_logits(logits / temperature, top_k, top_p).softmax(-1)
    drawn = fastnn.multinomial(p.reshape(-1, p.shape[-1]), 1, generator=generator)
    return drawn.reshape(p.shape[:-1])


def generate(model, tokens, steps: int, temperature=1.0, top_k=None, top_p=None, generator=None, use_cache=True):
    """`tokens` [batch, n] followed by `steps` new ones that `model` (logits of tokens) writes.

    Where the model has `cache(batch)`, each step computes one position; once its context is full, the cache is refilled
    from the latter half of it. Without a cache the last `context` tokens are read anew at each step.
    """
    if tokens.dim() != 2 or tokens.shape[1] < 1:
        raise ValueError(f"generate: tokens must be [batch, n] with n >= 1, got {tuple(tokens.shape)}")
    if steps < 0:
        raise ValueError(f"generate: steps must not be negative, got {steps}")
    context = model.config.context
    training = model.training
    model.eval()
    with fastnn.no_grad():
        cache, fresh = None, tokens[:, -context:]
        for _ in range(steps):
            if not use_cache:
                logits = model(tokens[:, -context:])
            else:
                if cache is None or cache.used + fresh.shape[1] > context:
                    fresh = tokens[:, -context:] if cache is None else tokens[:, -(context + 1) // 2 :]
                    cache = model.cache(len(tokens))
                logits = model(fresh, cache)
            fresh = sample(logits[:, -1], temperature, top_k, top_p, generator).unsqueeze(1)
            tokens = fastnn.cat([tokens, fresh], 1)
    model.train(training)
    return tokens
