"""Row 17: BERT and ViT from the library's own Transformer layers.

ViT reads MNIST as 16 patches. BERT learns to foretell masked words of Shakespeare and Wikipedia, then is fine-tuned on few
labels (which of the two is it?) against the same net from scratch. With `transformers` installed, both are given the weights
of its models, under its names, and their outputs are compared (otherwise that part says that it was not run).
"""

import _common as common

torch = common.framework()
nn, F = torch.nn, torch.nn.functional
models, text = common.library("models"), common.library("text")
PAD, UNKNOWN, MASK, START = range(4)


def vision(options, report):
    x, y, test_x, test_y = common.mnist(options, *((8000, 2000) if options.quick else ()))
    epochs = 3 if options.quick else options.epochs
    model = models.VisionTransformer(patch=7, width=64, layers=4, heads=4, inner=128)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-3, total_steps=epochs * -(-len(x) // 128))
    for epoch in range(epochs):
        for index in common.progress(common.batches(len(x), 128), f"ViT epoch {epoch + 1}/{epochs}"):
            # The notes' augmentation: each batch moved by up to two pixels.
            moved = torch.roll(x[index], torch.randint(-2, 3, (2,)).tolist(), (2, 3))
            optimizer.zero_grad()
            F.cross_entropy(model(moved), y[index]).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    reached = common.accuracy(model, test_x, test_y)
    report.claim("ViT on MNIST, test accuracy %", reached, ">=", 60 if options.quick else 98, "none for this size")
    return model, test_x


def corpus(options, length=16, limit=6000):
    """(windows of words [N, 1 + length], 0 for Shakespeare and 1 for Wikipedia [N], the vocabulary)."""
    folder = common.find(
        options, "text", "github.com/karpathy/char-rnn and github.com/pytorch/examples, word_language_model"
    )
    parts = [text.words((folder / "tinyshakespeare.txt").read_text())]
    wiki = [(folder / f"wikitext-2/{part}.txt").read_text(encoding="utf-8") for part in ("valid", "test")]
    parts.append(text.words(" ".join(wiki).replace("<unk>", " ")))
    special = ("<pad>", "<unk>", "<mask>", "<start>")
    vocabulary = text.Vocabulary([w for p in parts for w in p], special, unknown="<unk>", limit=limit)
    windows, labels = [], []
    for label, part in enumerate(parts):
        tokens = vocabulary.encode(part)
        tokens = tokens[: len(tokens) // length * length].view(-1, length)
        windows.append(F.pad(tokens, (1, 0), value=START))
        labels.append(torch.full((len(tokens),), label))
    return torch.cat(windows), torch.cat(labels), vocabulary


def new_bert(vocabulary, options):
    torch.manual_seed(options.seed)
    return models.Bert(len(vocabulary), width=128, layers=2, heads=4, context=32)


def masked_words(model, x, steps, vocabulary, batch=64):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-3, total_steps=steps)
    curve = []
    for _ in common.progress(range(steps), "BERT, masked words"):
        seen, wanted = models.mask_tokens(x[torch.randint(0, len(x), (batch,))], MASK, len(vocabulary), first=START + 1)
        at = wanted != -100
        optimizer.zero_grad()
        loss = F.cross_entropy(model.words_of(model(seen)[at]), wanted[at])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        curve.append(loss.item())
    return curve


def masked_test(model, x, vocabulary):
    """(nats a masked word, nats by the frequencies alone)."""
    torch.manual_seed(1)
    seen, wanted = models.mask_tokens(x, MASK, len(vocabulary), first=START + 1)
    frequency = torch.tensor([vocabulary.counts.get(s, 0) + 1.0 for s in vocabulary.symbols])
    frequency[UNKNOWN] = sum(n for s, n in vocabulary.counts.items() if s not in vocabulary)
    model.eval()
    with torch.no_grad():
        at = wanted != -100
        loss = F.cross_entropy(model.words_of(model(seen)[at]), wanted[at]).item()
    model.train()
    return loss, F.nll_loss((frequency / frequency.sum()).log().expand(int(at.sum()), -1), wanted[at]).item()


def fine_tune(model, x, y, test_x, test_y, steps=60):
    head = nn.Linear(128, 2)
    parameters = [*model.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=5e-4)
    for _ in range(steps):
        index = torch.randint(0, len(x), (16,))
        optimizer.zero_grad()
        F.cross_entropy(head(model.pooled(model(x[index]))), y[index]).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        return 100 * (head(model.pooled(model(test_x))).argmax(1) == test_y).float().mean().item()


def language(options, report):
    x, y, vocabulary = corpus(options)
    train, test = common.cut(len(x), 0.05, options.seed)
    test = test[:1000]
    few = train[: 12 if options.quick else 24]
    model = new_bert(vocabulary, options)
    curve = masked_words(model, x[train], 150 if options.quick else options.steps, vocabulary)
    loss, alone = masked_test(model, x[test], vocabulary)
    report.claim(
        "BERT: nats a masked word, over those by frequency", loss / alone, "<=", 1.05 if options.quick else 0.95
    )
    report.note("nats a masked word, and by frequency", f"{loss:.2f}, {alone:.2f}")
    if not options.quick:
        tuned = fine_tune(model, x[few], y[few], x[test], y[test])
        scratch = fine_tune(new_bert(vocabulary, options), x[few], y[few], x[test], y[test])
        report.note(f"from scratch on {len(few)} labels, test accuracy %", f"{scratch:.1f}")
        report.claim("pre-trained, then the same labels, %", tuned, ">", scratch)
    return curve


def compare_with_transformers(options, report):
    try:
        import torch as real
        from transformers import BertConfig, BertForMaskedLM, ViTConfig, ViTForImageClassification
    except ImportError:
        report.note("outputs equal to transformers'", "not run: it is not installed")
        return
    bert = BertForMaskedLM(
        BertConfig(vocab_size=99, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64)
    ).eval()
    ours = models.Bert(99, 32, 2, 4, 64, context=512).load_huggingface(bert.state_dict()).eval()
    tokens = real.randint(0, 99, (3, 20))
    vit = ViTForImageClassification(
        ViTConfig(
            hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, image_size=28, patch_size=7,
            num_channels=1, num_labels=10,
        )
    ).eval()  # fmt: skip
    eyes = models.VisionTransformer(width=32, layers=2, heads=4, inner=64).load_huggingface(vit.state_dict()).eval()
    images = real.randn(3, 1, 28, 28)
    with real.no_grad(), torch.no_grad():
        got = ours.words_of(ours(torch.from_numpy(tokens.numpy()))).numpy()
        report.claim(
            "BERT apart from transformers' by",
            float(abs(got - bert(tokens).logits.numpy()).max()),
            "<=",
            1e-4,
            digits=2,
        )
        got = eyes(torch.from_numpy(images.numpy())).numpy()
        report.claim(
            "ViT apart from transformers' by", float(abs(got - vit(images).logits.numpy()).max()), "<=", 1e-4, digits=2
        )


def main():
    parser = common.parser(__doc__)
    parser.add_argument("--epochs", type=int, default=15, help="of ViT (quick: 3, on 8,000 images)")
    parser.add_argument("--steps", type=int, default=2500, help="of BERT (quick: 150)")
    options = common.parse(parser)
    report = common.Report(options, "Encoders: BERT and ViT")
    model, images = vision(options, report)
    curve = language(options, report)
    if not options.quick:
        compare_with_transformers(options, report)
    made, axes = common.figure(options, 1, 2, (9, 3.6))
    if made:
        with torch.no_grad():
            places = model.positions[0, 1:]
            alike = F.normalize(places, dim=1) @ F.normalize(places, dim=1).T
        shown = axes[0].imshow(alike.numpy(), cmap="viridis")
        made.colorbar(shown, label="cosine")
        axes[0].set(xlabel="patch", ylabel="patch", title="ViT: how alike its positions are")
        axes[1].plot(curve, lw=0.6)
        axes[1].set(xlabel="step", ylabel="nats", title="BERT: masked words")
    common.save(options, made)
    report.end()


if __name__ == "__main__":
    main()
