"""Row 11: character models with RNN, LSTM, GRU; a bidirectional one; the adding problem.

The character model reads tiny Shakespeare as one stream in parallel rows, its state carried from batch to batch, and is
tested on the last tenth the same way. The bidirectional model fills in a character from both its sides. In the adding
problem (Hochreiter, Schmidhuber 1997) a sequence of T numbers has two that are marked, and their sum is wanted: gates
remember the first over many steps, a plain RNN does not. LSTM's forget gates start open, with a bias of 1.
"""

import _common as common

torch = common.framework()
vocabulary, streams = common.library("text.vocabulary"), common.library("text.streams")
nn, F = torch.nn, torch.nn.functional
CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


def open_forget_gates(cell, value=1.0):
    """LSTM's gates lie in the order input, forget, cell, output; both biases are added, so one gets the value."""
    if isinstance(cell, nn.LSTM):
        with torch.no_grad():
            for name, bias in cell.named_parameters():
                if name.startswith("bias"):
                    bias[cell.hidden_size : 2 * cell.hidden_size] = value if "_ih" in name else 0.0


class CharacterModel(nn.Module):
    def __init__(self, symbols, cell="lstm", hidden=512, embedding=64, dropout=0.0):
        super().__init__()
        self.embedding = nn.Embedding(symbols, embedding)
        self.cell = CELLS[cell](embedding, hidden, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden, symbols)
        open_forget_gates(self.cell)

    def forward(self, x, state=None):
        out, state = self.cell(self.embedding(x), state)
        return self.head(self.dropout(out)), state


def detach(state):
    return tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()


def test_loss(model, tokens, rows=1):
    """Mean nats a character over the whole of `tokens`, state carried."""
    model.eval()
    total = count = 0
    state = None
    with torch.no_grad():
        for x, y in streams.stream_batches(tokens, rows, 1000):
            logits, state = model(x, state)
            total += F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="sum").item()
            count += y.numel()
    model.train()
    return total / count


def train_characters(model, tokens, epochs, batch=32, length=100, rate=2e-3, text=""):
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    rounds = -(-((len(tokens) - 1) // batch) // length)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * rounds, eta_min=rate / 50)
    curve = []
    for epoch in range(epochs):
        state, total = None, 0.0
        pairs = common.progress(streams.stream_batches(tokens, batch, length), f"{text} epoch {epoch + 1}", rounds)
        for x, y in pairs:
            logits, state = model(x, state)
            state = detach(state)
            loss = F.cross_entropy(logits.flatten(0, 1), y.flatten())
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item()
        curve.append(total / rounds)
    return curve


def write(model, characters, prompt, steps, temperature=0.8):
    choose = common.library("models.sampling").sample
    x, state, out = characters.encode(prompt)[None], None, []
    model.eval()
    with torch.no_grad():
        for _ in range(steps):
            logits, state = model(x, state)
            x = choose(logits[:, -1], temperature)[:, None]
            out.append(int(x))
    return prompt + "".join(characters.decode(out))


class Gap(nn.Module):
    """Scores of each character from those before it (and, if `both`, from those behind it)."""

    def __init__(self, symbols, both, hidden=128):
        super().__init__()
        self.embedding = nn.Embedding(symbols, 32)
        self.cell = nn.LSTM(32, hidden, batch_first=True, bidirectional=both)
        self.head = nn.Linear(hidden * (1 + both), symbols)
        self.hidden, self.both = hidden, both

    def forward(self, x):
        out, _ = self.cell(self.embedding(x))
        before = out[:, :-2, : self.hidden]  # state after character t - 1
        return self.head(torch.cat([before, out[:, 2:, self.hidden :]], -1) if self.both else before)


def gap_loss(options, tokens, held, symbols, both, steps):
    torch.manual_seed(options.seed)
    model = Gap(symbols, both)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in common.progress(range(steps), "both sides" if both else "one side"):
        x, _ = streams.random_windows(tokens, 32, 66)
        loss = F.cross_entropy(model(x).flatten(0, 1), x[:, 1:-1].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        x = held[: len(held) // 66 * 66].view(-1, 66)
        return F.cross_entropy(model(x).flatten(0, 1), x[:, 1:-1].flatten()).item()


def adding_batch(batch, length):
    """x [batch, length, 2]: numbers of 0..1, and marks at one place of each half; y: the marked numbers' sum."""
    numbers, rows = torch.rand(batch, length), torch.arange(batch)
    first = torch.randint(0, length // 2, (batch,))
    second = torch.randint(length // 2, length, (batch,))
    marks = torch.zeros(batch, length)
    marks[rows, first] = 1
    marks[rows, second] = 1
    return torch.stack([numbers, marks], -1), numbers[rows, first] + numbers[rows, second]


def adding(options, cell, length, steps, hidden=128, batch=50):
    """Mean squared error on 2,000 new sequences; always answering 1 has 1/6."""
    torch.manual_seed(options.seed)
    net = CELLS[cell](2, hidden, batch_first=True)
    head = nn.Linear(hidden, 1)
    open_forget_gates(net)
    parameters = [*net.parameters(), *head.parameters()]
    # A high rate: on the long plateau at 1/6 it is the noise that finds the way out (1e-3 needs over 2,500 steps).
    optimizer = torch.optim.Adam(parameters, lr=1e-2)
    curve = []
    for step in common.progress(range(steps), f"adding, {cell}"):
        x, y = adding_batch(batch, length)
        loss = F.mse_loss(head(net(x)[0][:, -1])[:, 0], y)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if step % 50 == 0:
            curve.append((step, loss.item()))
    with torch.no_grad():
        x, y = adding_batch(2000, length)
        return F.mse_loss(head(net(x)[0][:, -1])[:, 0], y).item(), curve


def main():
    parser = common.parser(__doc__, with_torch=True)
    parser.add_argument("--cell", choices=CELLS, default="lstm", help="of the large character model")
    parser.add_argument("--epochs", type=int, default=7, help="of the large character model (quick: none)")
    parser.add_argument("--steps", type=int, default=3000, help="of the adding problem (quick: 400, at T=20)")
    options = common.parse(parser)
    report = common.Report(options, "Recurrent networks")
    quick = options.quick
    path = common.find(options, "text/tinyshakespeare.txt", "github.com/karpathy/char-rnn, data/tinyshakespeare")
    text = path.read_text()
    characters = vocabulary.Vocabulary(text, ordered=True)
    tokens = characters.encode(text)
    cut = int(0.9 * len(tokens))
    train, held = tokens[:cut], tokens[cut:]

    small = {}
    for cell in CELLS:  # a pass over a part, small: which cell learns fastest
        torch.manual_seed(options.seed)
        model = CharacterModel(len(characters), cell, hidden=128)
        train_characters(model, train[: 100_000 if quick else 300_000], 1, rate=5e-3, text=cell)
        small[cell] = test_loss(model, held[:20_000], rows=4)
        report.note(f"small {cell}, one pass over a part: nats a character", f"{small[cell]:.3f}")
    report.claim("the worst of them", max(small.values()), "<=", 3.0 if quick else 2.4)
    one, both = (
        gap_loss(options, train, held[:20_000], len(characters), b, 100 if quick else 600) for b in (False, True)
    )
    report.note("a character from the left alone, nats", f"{one:.3f}")
    report.claim("the same from both sides", both, "<", one)

    errors, curves = {}, {}
    length, steps = (20, 400) if quick else (100, options.steps)
    for cell in ("lstm", "gru") if quick else CELLS:
        errors[cell], curves[cell] = adding(options, cell, length, steps)
    source = "LSTM solves it: Hochreiter, Schmidhuber 1997, experiment 4"
    if quick:
        report.claim(
            f"adding, T={length}, LSTM or GRU, mean squared error", min(errors["lstm"], errors["gru"]), "<=", 0.1
        )
    else:
        report.claim(f"adding, T={length}, LSTM, mean squared error", errors["lstm"], "<=", 0.01, source)
        report.claim(f"adding, T={length}, GRU", errors["gru"], "<=", 0.01)
        report.claim(f"adding, T={length}, RNN", errors["rnn"], ">=", 0.1, "1/6 is what answering 1 has")

        torch.manual_seed(options.seed)
        model = CharacterModel(len(characters), options.cell, hidden=512, dropout=0.3)
        curve = train_characters(model, train, options.epochs, batch=32, length=128, rate=3e-3, text=options.cell)
        source = "none for this text: char-rnn's README has no figure"
        report.note("large model, training loss of the last pass", f"{curve[-1]:.4f}")
        report.claim(f"{options.cell} on the last tenth, nats a character", test_loss(model, held), "<=", 1.52, source)
        print(write(model, characters, "KING RICHARD:\n", 500))

    made, axes = common.figure(options, size=(5, 3.5))
    if made:
        for cell, points in curves.items():
            axes[0].semilogy(*zip(*points, strict=True), label=cell, lw=0.8)
        axes[0].axhline(1 / 6, color="grey", lw=0.5)
        axes[0].set(xlabel="step", ylabel="mean squared error", title=f"Adding problem, T={length}")
        axes[0].legend()
    common.save(options, made)
    report.end()


if __name__ == "__main__":
    main()
