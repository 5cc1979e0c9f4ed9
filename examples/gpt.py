"""Row 16: GPT in nanoGPT's setting for a CPU, on tiny Shakespeare, character by character.

4 layers, 4 heads, 128 wide, context 64, batches of 12, 2,000 steps of AdamW with warm-up and cosine decay. The loss is
taken on the whole validation part (the last tenth) in windows of 64. Then it writes: temperature, top-k, top-p, with the
cache of keys and values and without.
"""

import math
import time

import _common as common

torch = common.framework()
gpt, sampling = common.library("models.gpt"), common.library("models.sampling")
vocabulary, streams = common.library("text.vocabulary"), common.library("text.streams")
F = torch.nn.functional


def rate(step, steps, top=1e-3, least=1e-4, warm=100):
    """nanoGPT's: linear warm-up, then half a cosine down to a tenth."""
    if step < warm:
        return top * (step + 1) / (warm + 1)
    return least + 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm))) * (top - least)


def whole_loss(model, tokens, context, size=64):
    """Mean nats a character over all windows of `tokens`."""
    windows = (len(tokens) - 1) // context
    x = tokens[: windows * context].view(windows, context)
    y = tokens[1 : windows * context + 1].view(windows, context)
    model.eval()
    total = 0.0
    with torch.no_grad():
        for i in range(0, windows, size):
            logits = model(x[i : i + size])
            total += F.cross_entropy(logits.flatten(0, 1), y[i : i + size].flatten(), reduction="sum").item()
    model.train()
    return total / (windows * context)


def train(config, tokens, held, steps, batch, seed):
    torch.manual_seed(seed)
    model = gpt.GPT(config)
    optimizer = torch.optim.AdamW(model.parameter_groups(0.1), lr=1e-3, betas=(0.9, 0.99))
    curve = []
    for step in common.progress(range(steps), f"GPT, seed {seed}"):
        for group in optimizer.param_groups:
            group["lr"] = rate(step, steps, warm=min(100, steps // 5))
        x, y = streams.random_windows(tokens, batch, config.context)
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 50 == 0:
            curve.append((step, loss.item()))
    return model, curve, whole_loss(model, held, config.context)


def main():
    parser = common.parser(__doc__, with_torch=True)
    parser.add_argument("--steps", type=int, default=2000, help="of training (quick: 250)")
    parser.add_argument("--seeds", type=int, default=3, help="runs, from --seed on (quick: 1)")
    parser.add_argument("--prompt", default="\nKING RICHARD:")
    options = common.parse(parser)
    report = common.Report(options, "GPT")
    path = common.find(options, "text/tinyshakespeare.txt", "github.com/karpathy/char-rnn, data/tinyshakespeare")
    text = path.read_text()
    characters = vocabulary.Vocabulary(text, ordered=True)
    tokens = characters.encode(text)
    cut = int(0.9 * len(tokens))
    config = gpt.GPTConfig(vocabulary=len(characters))
    steps, seeds = (250, 1) if options.quick else (options.steps, options.seeds)
    runs = [train(config, tokens[:cut], tokens[cut:], steps, 12, options.seed + i) for i in range(seeds)]
    mean = sum(loss for *_, loss in runs) / seeds
    source = "1.88: nanoGPT's README, its estimate from 20 batches (Karpathy 2023)"
    report.claim("validation loss, nats a character", mean, "<=", 2.6 if options.quick else 1.92, source)
    report.note("by seed", " ".join(f"{loss:.4f}" for *_, loss in runs))

    model, curve, _ = runs[0]
    prompt = characters.encode(options.prompt)[None]
    new = 60 if options.quick else 400
    for settings in ({"temperature": 0.0}, {"temperature": 0.8}, {"top_k": 5}, {"top_p": 0.9}):
        torch.manual_seed(options.seed)
        written = sampling.generate(model, prompt, new, **settings)
        print(f"--- {settings}\n{''.join(characters.decode(written[0]))}")
    room = config.context - prompt.shape[1]
    seconds, texts = [], []
    for use_cache in (True, False):
        start = time.perf_counter()
        texts.append(sampling.generate(model, prompt, room, temperature=0.0, use_cache=use_cache))
        seconds.append(time.perf_counter() - start)
    report.check("the cache changes nothing", bool((texts[0] == texts[1]).all()), f"{room} tokens the same")
    report.note("milliseconds a token with and without it", " and ".join(f"{1000 * s / room:.2f}" for s in seconds))

    made, axes = common.figure(options, size=(5, 3.5))
    if made:
        for seed, (_, points, _) in enumerate(runs):
            axes[0].plot(*zip(*points, strict=True), label=f"seed {options.seed + seed}", lw=0.8)
        axes[0].set(xlabel="step", ylabel="training loss, nats a character")
        axes[0].legend()
    common.save(options, made)
    report.end()


if __name__ == "__main__":
    main()
