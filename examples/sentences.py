"""Row 13: classifying a sequence and tagging its elements.

A surname's language (18 of them) from its characters, by TextCNN (Kim 2014: convolutions of several widths, the maximum
over places) and by a bidirectional LSTM; surnames that occur in one language several times count once, 20 % are held back.
Then a grammar made on the spot, in which the tag of a word hangs on words before and behind it, and a tagger that reads
both ways.
"""

import unicodedata

import _common as common

torch = common.framework()
nn, F = torch.nn, torch.nn.functional
text = common.library("text")
LENGTH = 16  # longer names are cut


def surnames(options):
    """(characters int64 [N, 16], languages int64 [N], names of the languages, number of characters)."""
    folder = common.find(options, "text/names_by_language", "github.com/spro/practical-pytorch, data/names")
    pairs = []
    files = sorted(folder.glob("*.txt"))
    for number, file in enumerate(files):
        names = {unicodedata.normalize("NFC", n.strip()) for n in file.read_text(encoding="utf-8").splitlines()}
        pairs += [(n, number) for n in sorted(names) if n]
    characters = text.Vocabulary("".join(n for n, _ in pairs), special=("<pad>", "<start>", "<end>"), ordered=True)
    x = torch.zeros(len(pairs), LENGTH, dtype=torch.int64)
    for i, (name, _) in enumerate(pairs):
        symbols = ["<start>", *name[: LENGTH - 2], "<end>"]
        x[i, : len(symbols)] = characters.encode(symbols)
    return x, torch.tensor([n for _, n in pairs]), [f.stem for f in files], len(characters)


class TextCNN(nn.Module):
    def __init__(self, symbols, classes, embedding=64, channels=128, widths=(2, 3, 4, 5), dropout=0.5):
        super().__init__()
        self.embedding = nn.Embedding(symbols, embedding, padding_idx=0)
        self.convolutions = nn.ModuleList([nn.Conv1d(embedding, channels, w, padding=w // 2) for w in widths])
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(channels * len(widths), classes)

    def forward(self, x):
        e = self.dropout(self.embedding(x)).transpose(1, 2)
        return self.head(self.dropout(torch.cat([F.relu(c(e)).amax(2) for c in self.convolutions], 1)))


class BiLSTM(nn.Module):
    """Both ways over the whole, then the maximum over the places that hold something; `tags`: an answer at each place."""

    def __init__(self, symbols, classes, embedding=64, hidden=128, dropout=0.5, tags=False):
        super().__init__()
        self.embedding = nn.Embedding(symbols, embedding, padding_idx=0)
        self.cell = nn.LSTM(embedding, hidden, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * hidden, classes)
        self.tags = tags

    def forward(self, x):
        out, _ = self.cell(self.dropout(self.embedding(x)))
        if self.tags:
            return self.head(out).transpose(1, 2)  # [N, classes, places], as cross_entropy takes it
        out = out.masked_fill((x == 0).unsqueeze(2), float("-inf")).amax(1)
        return self.head(self.dropout(out))


def train(options, model, x, y, epochs, rate=2e-3, batch=64, text=""):
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)
    steps = epochs * -(-len(x) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2 * rate, total_steps=steps)
    return common.fit(model, x, y, optimizer, nn.CrossEntropyLoss(), epochs, batch, text, schedule, clip=1.0)


WORDS = "the a old red dog cat bird sees hears near sleeps saw duck and".split()
TAGS = ["article", "adjective", "noun", "verb", "preposition", "conjunction"]


def phrase(rng):
    """A noun phrase as (word, tag) pairs. `saw` and `duck` are nouns after an article or adjective, else verbs."""
    out = [("the" if rng() < 0.5 else "a", 0)]
    out += [("old" if rng() < 0.5 else "red", 1) for _ in range(int(rng() * 3))]
    # `old` and `red` at the end of a phrase are nouns themselves ("the old"): what follows tells them apart.
    return [*out, (("dog", "cat", "bird", "saw", "duck", "old", "red")[int(rng() * 7)], 2)]


def sentence(rng):
    out = phrase(rng)
    if rng() < 0.4:
        out += [("near", 4), *phrase(rng)]
    if rng() < 0.4:
        out.append((("sleeps", "duck")[int(rng() * 2)], 3))
    else:
        out += [(("sees", "hears", "saw")[int(rng() * 3)], 3), *phrase(rng)]
    if rng() < 0.3 and len(out) < 14:
        out += [("and", 5), *sentence(rng)]
    return out


def grammar(options, count, length=40):
    """(words int64 [N, 40], 0 beyond the end; tags, -100 there, which cross_entropy leaves out)."""
    import random

    rng = random.Random(options.seed).random
    number = {w: i + 1 for i, w in enumerate(WORDS)}
    x = torch.zeros(count, length, dtype=torch.int64)
    y = torch.full((count, length), -100)
    for i in range(count):
        made = sentence(rng)[:length]
        x[i, : len(made)] = torch.tensor([number[w] for w, _ in made])
        y[i, : len(made)] = torch.tensor([t for _, t in made])
    return x, y


def tagging(options, report):
    x, y = grammar(options, 1000 if options.quick else 5000)
    cut = len(x) * 4 // 5
    torch.manual_seed(options.seed)
    model = BiLSTM(len(WORDS) + 1, len(TAGS), 32, 64, dropout=0.0, tags=True)
    train(options, model, x[:cut], y[:cut], 6, rate=5e-3, text="tagger")
    with torch.no_grad():
        found = model(x[cut:]).argmax(1)
    there = y[cut:] >= 0
    share = 100 * (found == y[cut:])[there].float().mean().item()
    # Could a table of words do it? The best answer for each word alone:
    votes = torch.zeros(len(WORDS) + 1, len(TAGS))
    seen = y[:cut] >= 0
    votes.index_put_((x[:cut][seen], y[:cut][seen]), torch.ones(int(seen.sum())), accumulate=True)
    table = 100 * (votes.argmax(1)[x[cut:]] == y[cut:])[there].float().mean().item()
    report.note("tags from each word alone, %", f"{table:.1f}")
    report.claim("tags by a bidirectional LSTM, test accuracy %", share, ">=", 97 if options.quick else 99)


def main():
    parser = common.parser(__doc__)
    parser.add_argument("--epochs", type=int, default=15, help="of the surname models (quick: 3, TextCNN alone)")
    options = common.parse(parser)
    report = common.Report(options, "Sequences classified")
    x, y, names, symbols = surnames(options)
    train_part, test_part = common.cut(len(x), 0.2, options.seed)
    report.note("surnames", f"{len(x):,} different ones, {len(names)} languages")
    share = 100 * torch.bincount(y[test_part]).max().item() / len(test_part)
    report.note("always the commonest language, %", f"{share:.1f}")
    epochs = 3 if options.quick else options.epochs
    kinds = {"TextCNN": TextCNN, "bidirectional LSTM": BiLSTM}
    model = None
    for name in ["TextCNN"] if options.quick else kinds:
        torch.manual_seed(options.seed)
        model = kinds[name](symbols, len(names))
        train(options, model, x[train_part], y[train_part], epochs, text=name)
        reached = common.accuracy(model, x[test_part], y[test_part])
        report.claim(f"surname's language, {name}, test accuracy %", reached, ">=", 72 if options.quick else 80)
    tagging(options, report)

    made, axes = common.figure(options, size=(8, 6))
    if made:
        model.eval()
        with torch.no_grad():
            found = model(x[test_part]).argmax(1)
        table = torch.zeros(len(names), len(names))
        table.index_put_((y[test_part], found), torch.ones(len(found)), accumulate=True)
        shares = axes[0].imshow((table / table.sum(1, keepdim=True).clamp(min=1)).numpy(), cmap="Blues", vmin=0, vmax=1)
        made.colorbar(shares, label="share of the true language's names")
        axes[0].set_xticks(range(len(names)), names, rotation=90, fontsize=7)
        axes[0].set_yticks(range(len(names)), names, fontsize=7)
        axes[0].set(xlabel="answered", ylabel="true", title=f"Surnames: answers of the {name}")
    common.save(options, made)
    report.end()


if __name__ == "__main__":
    main()
