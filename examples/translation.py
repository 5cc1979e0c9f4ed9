"""Row 14: sequence to sequence. Dates as people write them into 1998-03-05, character by character.

An encoder-decoder of GRUs that attends to the source softly (Bahdanau et al. 2015), the same with hard attention (one place,
drawn by chance), and a Transformer. The measure is the share of unseen dates that come out right in every character. The
picture shows where the decoder looks.
"""

import datetime

import _common as common

torch = common.framework()
nn, F = torch.nn, torch.nn.functional
text, scores = common.library("text"), common.library("models.scores")
positions = common.library("models.positions")
FORMATS = ("%d %B %Y", "%B %d, %Y", "%a %d %b %Y", "%A, %d.%m.%Y", "%d %b '%y", "%Y, %B %d", "%b %d %Y")
SOURCE, TARGET = 29, 10


def dates(options, count):
    """`count` different dates of 1970-2029: (sources padded [N, 29], targets [N, 10], the vocabulary)."""
    first = datetime.date(1970, 1, 1)
    days = torch.randint(0, 365 * 60, (count,)).tolist()
    forms = torch.randint(0, len(FORMATS), (count,)).tolist()
    pairs = []
    for day, form in zip(days, forms, strict=True):
        date = first + datetime.timedelta(days=day)
        pairs.append((date.strftime(FORMATS[form]), date.isoformat()))
    pairs = sorted(set(pairs))
    characters = text.Vocabulary("".join(a + b for a, b in pairs), special=("<pad>", "<start>"), ordered=True)
    x = torch.zeros(len(pairs), SOURCE, dtype=torch.int64)
    for i, (source, _) in enumerate(pairs):
        x[i, : len(source)] = characters.encode(source)
    y = torch.stack([characters.encode(target) for _, target in pairs])
    return x, y, characters


class Recurrent(nn.Module):
    """Bidirectional GRU over the source; a GRU cell that, at each step, attends to it and writes one character."""

    def __init__(self, symbols, hard=False, width=64, hidden=128):
        super().__init__()
        self.embedding = nn.Embedding(symbols, width, padding_idx=0)
        self.encoder = nn.GRU(width, hidden, batch_first=True, bidirectional=True)
        self.start = nn.Linear(2 * hidden, hidden)
        self.score = scores.AdditiveScore(hidden, 2 * hidden, hidden)
        self.cell = nn.GRUCell(width + 2 * hidden, hidden)
        self.head = nn.Linear(3 * hidden, symbols)
        self.hard = hard

    def forward(self, x, target=None):
        """Logits [N, 10, V]. With `target` each step reads the right character before it, else what was written."""
        mask = (x != 0).unsqueeze(1)
        keys, _ = self.encoder(self.embedding(x))
        state = torch.tanh(self.start((keys * mask.transpose(1, 2)).sum(1) / mask.sum(2)))
        symbol = torch.ones(len(x), dtype=torch.int64)  # <start>
        logits, looked = [], []
        for step in range(TARGET):
            s = self.score(state.unsqueeze(1), keys)
            if self.hard:
                context, shares = scores.hard_attend(s, keys, mask, training=self.training)
            else:
                context, shares = scores.attend(s, keys, mask)
            context = context[:, 0]
            state = self.cell(torch.cat([self.embedding(symbol), context], 1), state)
            out = self.head(torch.cat([state, context], 1))
            logits.append(out)
            looked.append(shares[:, 0].detach())
            symbol = out.argmax(1) if target is None else target[:, step]
        self.looked = torch.stack(looked, 1)
        return torch.stack(logits, 1)


class Transformer(nn.Module):
    def __init__(self, symbols, width=64, heads=4, layers=2):
        super().__init__()
        self.embedding = nn.Embedding(symbols, width, padding_idx=0)
        self.body = nn.Transformer(
            width, heads, layers, layers, 4 * width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.head = nn.Linear(width, symbols)
        self.places = positions.sinusoidal_positions(SOURCE, width)

    def embed(self, tokens):
        # No factor sqrt(width), as Vaswani et al. have: nn.Embedding starts at a deviation of 1 already, and eight
        # times that would drown the places.
        return self.embedding(tokens) + self.places[: tokens.shape[1]]

    def decode(self, memory, blank, before):
        causal = torch.ones(before.shape[1], before.shape[1], dtype=torch.bool).triu(1)
        out = self.body.decoder(self.embed(before), memory, tgt_mask=causal, memory_key_padding_mask=blank)
        return self.head(out)

    def forward(self, x, target=None):
        blank = x == 0
        memory = self.body.encoder(self.embed(x), src_key_padding_mask=blank)
        before = torch.ones(len(x), 1, dtype=torch.int64)
        if target is not None:
            return self.decode(memory, blank, torch.cat([before, target[:, :-1]], 1))
        for _ in range(TARGET):
            logits = self.decode(memory, blank, before)
            before = torch.cat([before, logits[:, -1:].argmax(2)], 1)
        return logits


def train(options, model, x, y, steps, rate, name, batch=64):
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=rate, total_steps=steps)
    model.train()
    for _ in common.progress(range(steps), name):
        index = torch.randint(0, len(x), (batch,))
        optimizer.zero_grad()
        F.cross_entropy(model(x[index], y[index]).flatten(0, 1), y[index].flatten()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    model.eval()


def exact(model, x, y):
    with torch.no_grad():
        right = [(model(x[i : i + 500]).argmax(2) == y[i : i + 500]).all(1) for i in range(0, len(x), 500)]
    return 100 * torch.cat(right).float().mean().item()


def main():
    parser = common.parser(__doc__)
    parser.add_argument("--steps", type=int, default=800, help="of each model (quick: 150, soft attention alone)")
    options = common.parse(parser)
    report = common.Report(options, "Sequence to sequence")
    x, y, characters = dates(options, 12000)
    a, b = common.cut(len(x), 0.15, options.seed)
    report.note("dates", f"{len(a):,} to learn from, {len(b):,} unseen pairs")
    steps = 150 if options.quick else options.steps
    rows = (
        ("GRUs with soft attention", lambda: Recurrent(len(characters)), 5e-3, 99),
        ("GRUs with hard attention", lambda: Recurrent(len(characters), hard=True), 5e-3, 99),
        ("Transformer", lambda: Transformer(len(characters)), 2e-3, 99),
    )
    soft = None
    for name, make, rate, wanted in rows[: 1 if options.quick else 3]:
        torch.manual_seed(options.seed)
        model = make()
        train(options, model, x[a], y[a], steps, rate, name)
        soft = soft or model
        report.claim(f"{name}: unseen dates right, %", exact(model, x[b], y[b]), ">=", 50 if options.quick else wanted)

    made, axes = common.figure(options, size=(8, 4))
    if made:
        with torch.no_grad():
            found = soft(x[b[:1]]).argmax(2)[0]
        length = int((x[b[0]] != 0).sum())
        axes[0].imshow(soft.looked[0, :, :length].numpy(), cmap="viridis")
        axes[0].set_xticks(range(length), characters.decode(x[b[0], :length]))
        axes[0].set_yticks(range(TARGET), characters.decode(found))
        axes[0].set(xlabel="the source", ylabel="what is written", title="Where the decoder looks while it writes")
    common.save(options, made)
    report.end()


if __name__ == "__main__":
    main()
