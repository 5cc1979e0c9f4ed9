"""Row 20: graph networks. GCN and GAT on Cora, a graph with two kinds of edges, and traffic on a road network.

Cora: 2,708 papers, 5,278 citations, 7 fields, 20 labelled papers a field; the public split, 10 seeds, and the model with
the lowest validation loss. The two others are made on the spot: papers whose field shows in who wrote them, not in what
they cite; and traffic that flows from crossing to crossing, to be foretold from the last readings of a crossing and of
its neighbours.
"""

import copy

import _common as common

torch = common.framework()
graph, planetoid = common.library("graph.message"), common.library("graph.planetoid")
nn, F = torch.nn, torch.nn.functional


class GCN(nn.Module):
    """Kipf, Welling 2017: 16 hidden, dropout 0.5."""

    def __init__(self, inputs, classes, hidden=16):
        super().__init__()
        self.one, self.two = graph.GCNConv(inputs, hidden), graph.GCNConv(hidden, classes)

    def forward(self, x, adjacency):
        x = F.relu(self.one(F.dropout(x, 0.5, self.training), adjacency))
        return self.two(F.dropout(x, 0.5, self.training), adjacency)


class GAT(nn.Module):
    """Velickovic et al. 2018: 8 heads of 8, then one head; dropout 0.6 on features and attention."""

    def __init__(self, inputs, classes):
        super().__init__()
        self.one = graph.GATConv(inputs, 8, heads=8, dropout=0.6)
        self.two = graph.GATConv(64, classes, heads=1, concat=False, dropout=0.6)

    def forward(self, x, edges):
        x = F.elu(self.one(F.dropout(x, 0.6, self.training), edges))
        return self.two(F.dropout(x, 0.6, self.training), edges)


def train_cora(model, data, adjacency, groups, rate, epochs, text):
    """Test accuracy in per cent at the lowest validation loss, and that model's outputs."""
    optimizer = torch.optim.Adam(groups, lr=rate)
    best, kept = float("inf"), None
    for _ in common.progress(range(epochs), text):
        model.train()
        optimizer.zero_grad()
        F.cross_entropy(model(data.x, adjacency)[data.train], data.y[data.train]).backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            out = model(data.x, adjacency)
            loss = F.cross_entropy(out[data.validation], data.y[data.validation]).item()
        if loss < best:
            best, kept = loss, copy.deepcopy(out)
    return 100 * (kept[data.test].argmax(1) == data.y[data.test]).float().mean().item(), kept


def cora(options, report):
    folder = common.find(options, "planetoid", "github.com/tkipf/gcn, gcn/data")
    data = planetoid.Planetoid(folder, "cora")
    nodes, classes = len(data.x), int(data.y.max()) + 1
    edges = graph.add_self_loops(data.edges, nodes)
    weights = graph.gcn_weights(edges, nodes)
    sparse = graph.as_sparse(edges, weights, nodes)

    x = torch.randn(nodes, 16)
    apart = float((graph.propagate(x, edges, weights) - torch.sparse.mm(sparse, x)).abs().max())
    report.claim("edge list against sparse matrix, largest difference", apart, "<=", 1e-5, digits=2)

    seeds = 1 if options.quick else options.seeds
    results, outputs = {}, {}
    for name in ("GCN", "GAT"):
        results[name] = []
        for seed in range(options.seed, options.seed + seeds):
            torch.manual_seed(seed)
            if name == "GCN":
                model = GCN(data.x.shape[1], classes)
                groups = [  # the paper's weight decay is on the first layer alone
                    {"params": list(model.one.parameters()), "weight_decay": 5e-4},
                    {"params": list(model.two.parameters()), "weight_decay": 0.0},
                ]
                settings = (sparse, groups, 0.01, 100 if options.quick else 200)
            else:
                model = GAT(data.x.shape[1], classes)
                groups = [{"params": list(model.parameters()), "weight_decay": 5e-4}]
                settings = (edges, groups, 0.005, 100 if options.quick else 300)
            reached, outputs[name] = train_cora(model, data, *settings, f"{name}, seed {seed}")
            results[name].append(reached)
    for name, wanted, source in (
        ("GCN", 81.0, "81.5 %: Kipf, Welling 2017, table 2"),
        ("GAT", 82.0, "83.0 +- 0.7 %: Velickovic et al. 2018, table 2"),
    ):
        mean = sum(results[name]) / seeds
        report.claim(f"Cora, {name}, test accuracy %", mean, ">=", 76 if options.quick else wanted, source)
        report.note("by seed", " ".join(f"{r:.1f}" for r in results[name]))
    return data, outputs["GCN"]


def two_kinds(options, report, papers=400, authors=60, fields=3):
    """Papers are written by authors of their field and cite anybody: only a net that tells the kinds apart sees it."""
    torch.manual_seed(options.seed)
    field = torch.randint(0, fields, (papers,))
    home = torch.arange(authors) % fields
    writes, cites = [], []
    for paper in range(papers):
        own = (home == field[paper]).nonzero()[:, 0]
        others = torch.cat([own[torch.randperm(len(own))[:2]], torch.randint(0, authors, (1,))])
        writes += [(papers + int(a), paper) for a in others]
        cites += [(int(p), paper) for p in torch.randint(0, papers, (12,))]
    x = torch.zeros(papers + authors, fields)
    # Authors say where they belong, in a voice that is easily drowned; papers say something at random.
    x[papers:] = F.one_hot(home, fields).float()
    x[:papers] = F.one_hot(torch.randint(0, fields, (papers,)), fields).float()
    kinds = [torch.tensor(writes).t(), torch.tensor(cites).t()]
    train, test = torch.arange(papers // 2), torch.arange(papers // 2, papers)
    reached = {}
    for name, edges in (("two kinds", kinds), ("merged", [torch.cat(kinds, 1)])):
        torch.manual_seed(options.seed)
        model = graph.RelationalConv(fields, fields, len(edges))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
        for _ in range(100):
            optimizer.zero_grad()
            F.cross_entropy(model(x, edges)[train], field[train]).backward()
            optimizer.step()
        with torch.no_grad():
            reached[name] = 100 * (model(x, edges)[test].argmax(1) == field[test]).float().mean().item()
    report.claim("two kinds of edges, test accuracy %", reached["two kinds"], ">=", 90)
    report.claim("the kinds merged into one, %", reached["merged"], "<=", reached["two kinds"] - 5)


def traffic(options, report, side=8, hours=400, memory=3):
    """Cars at the crossings of a grid: a quarter stays for the hour, the others take a road each, new ones arrive in the west."""
    torch.manual_seed(options.seed)
    number = torch.arange(side * side).view(side, side)
    pairs = [(number[:, :-1], number[:, 1:]), (number[:-1], number[1:])]
    edges = torch.cat([torch.stack([a.reshape(-1), b.reshape(-1)]) for a, b in pairs], 1)
    edges = torch.cat([edges, edges.flip(0)], 1)
    nodes = side * side
    turns = graph.edge_softmax(2 * torch.randn(edges.shape[1]), edges[0], nodes)  # where those who leave go, known
    share = 0.7 * turns
    arrives = (torch.arange(nodes) % side == 0).float()  # from outside, at the western edge
    cars, record = torch.rand(nodes), []
    for _ in range(hours):
        cars = 0.25 * cars + graph.propagate(cars[:, None], edges, share)[:, 0] + arrives * torch.rand(nodes) ** 4
        record.append(cars)
    record = torch.stack(record[50:])
    record = (record - record.mean(0)) / record.std(0)
    inputs = torch.stack([record[i : len(record) - memory + i] for i in range(memory)], -1)  # [time, nodes, memory]
    wanted = record[memory:]
    cut = int(0.7 * len(wanted))
    reached = {}
    for name in ("alone", "with neighbours"):
        torch.manual_seed(options.seed)
        model = graph.RelationalConv(memory, 16, 1)
        head = nn.Linear(16, 1)
        optimizer = torch.optim.Adam([*model.parameters(), *head.parameters()], lr=0.01)

        def forecast(x, name=name, model=model, head=head):
            # Nodes first, as layers want them: all hours of a batch side by side.
            own = model.own(x)
            if name == "with neighbours":
                heard = graph.propagate((x @ model.weights[0]).transpose(0, 1), edges, share)
                own = own + heard.transpose(0, 1)
            return head(F.relu(own))[..., 0]

        for _ in range(20 if options.quick else 60):
            for index in common.batches(cut, 32):
                optimizer.zero_grad()
                F.mse_loss(forecast(inputs[index]), wanted[index]).backward()
                optimizer.step()
        with torch.no_grad():
            reached[name] = F.mse_loss(forecast(inputs[cut:]), wanted[cut:]).item()
    ratio = reached["with neighbours"] / reached["alone"]
    report.claim("traffic: error with neighbours over the error without", ratio, "<=", 0.8)


def main():
    parser = common.parser(__doc__, with_torch=True)
    parser.add_argument("--seeds", type=int, default=10, help="runs on Cora, from --seed on (quick: 1, shorter)")
    options = common.parse(parser)
    report = common.Report(options, "Graph networks")
    data, out = cora(options, report)
    two_kinds(options, report)
    traffic(options, report)
    made, axes = common.figure(options, size=(5.5, 4.5))
    if made:
        centred = out - out.mean(0)
        _, _, directions = torch.linalg.svd(centred, full_matrices=False)
        flat = centred @ directions[:2].T
        for number in range(int(data.y.max()) + 1):
            axes[0].scatter(*flat[data.y == number].T.numpy(), s=3, label=f"class {number}")
        axes[0].set_title("Cora: GCN's outputs, two principal directions")
        axes[0].legend(markerscale=3, fontsize=7)
    common.save(options, made)
    report.end()


if __name__ == "__main__":
    main()
