"""StarGAN in PyTorch as in its published code, the reference of the benchmarks.

Imported only if PyTorch is installed; ``torch_stargan`` runs it in a separate process.
"""

from __future__ import annotations

from legan_tf import optional

torch = optional.require("torch", "Timing the package beside PyTorch")
nn, functional = torch.nn, torch.nn.functional

_RATE, _BETAS = 1e-4, (0.5, 0.999)
_PENALTY_WEIGHT = _RECONSTRUCTION_WEIGHT = 10.0


def _norm(channels: int) -> nn.Module:
    # Without the running statistics of the published code, which are never read.
    return nn.InstanceNorm2d(channels, affine=True)


class _Residual(nn.Module):
    """x + body(x), two 3 x 3 convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        body = []
        for last in (False, True):
            body += [nn.Conv2d(channels, channels, 3, 1, 1, bias=False), _norm(channels)]
            body += [] if last else [nn.ReLU(inplace=True)]
        self.main = nn.Sequential(*body)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.main(x)


class Generator(nn.Module):
    """Generator: float32 images [B, 3, S, S] in [-1, 1] and codes [B, N] to images.

    The names of the weights are those of the published files.
    """

    def __init__(self, attributes: int, width: int = 64, blocks: int = 6) -> None:
        """Creates the layers.

        Args:
            attributes: N.
            width: Channels at full size.
            blocks: Residual blocks.
        """
        super().__init__()
        layers = [nn.Conv2d(3 + attributes, width, 7, 1, 3, bias=False), *self._normed(width)]
        for channels in (2 * width, 4 * width):
            layers.append(nn.Conv2d(channels // 2, channels, 4, 2, 1, bias=False))
            layers += self._normed(channels)
        layers += [_Residual(4 * width) for _ in range(blocks)]
        for channels in (2 * width, width):
            layers.append(nn.ConvTranspose2d(2 * channels, channels, 4, 2, 1, bias=False))
            layers += self._normed(channels)
        self.main = nn.Sequential(*layers, nn.Conv2d(width, 3, 7, 1, 3, bias=False), nn.Tanh())

    @staticmethod
    def _normed(channels: int) -> list[nn.Module]:
        return [_norm(channels), nn.ReLU(inplace=True)]

    def forward(self, images: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """Edits the images."""
        planes = codes[:, :, None, None].expand(-1, -1, *images.shape[2:])
        return self.main(torch.cat([images, planes], 1))


class Discriminator(nn.Module):
    """Discriminator: float32 images [B, 3, S, S] to realness [B, 1, h, w] and logits [B, N]."""

    def __init__(self, attributes: int, image_size: int, width: int = 64, depth: int = 6) -> None:
        """Creates the layers.

        Args:
            attributes: N.
            image_size: S, a multiple of ``2**depth``.
            width: Channels of the first convolution.
            depth: Number of convolutions.
        """
        super().__init__()
        layers, seen = [], 3
        for level in range(depth):
            layers += [nn.Conv2d(seen, width * 2**level, 4, 2, 1), nn.LeakyReLU(0.01)]
            seen = width * 2**level
        self.main = nn.Sequential(*layers)
        self.conv1 = nn.Conv2d(seen, 1, 3, 1, 1, bias=False)
        self.conv2 = nn.Conv2d(seen, attributes, image_size // 2**depth, bias=False)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns realness and logits."""
        features = self.main(images)
        return self.conv1(features), self.conv2(features).flatten(1)


class Stargan:
    """Both networks with their optimizers, trained as the published code trains them."""

    def __init__(
        self, attributes: int, image_size: int, width: int, blocks: int, d_width: int, d_depth: int
    ) -> None:
        """Creates the networks, on the GPU if there is one."""
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.attributes = attributes
        self.image_size = image_size
        self.generator = Generator(attributes, width, blocks).to(self.device)
        self.discriminator = Discriminator(attributes, image_size, d_width, d_depth).to(self.device)
        self._optimizers = [
            torch.optim.Adam(network.parameters(), _RATE, _BETAS)
            for network in (self.discriminator, self.generator)
        ]

    @property
    def parameters(self) -> dict[str, int]:
        """Numbers of parameters by network."""
        networks = {"generator": self.generator, "discriminator": self.discriminator}
        return {
            name: sum(values.numel() for values in network.parameters())
            for name, network in networks.items()
        }

    def batches(self, count: int, batch_size: int) -> list[tuple[torch.Tensor, ...]]:
        """Returns random batches: images [B, 3, S, S], classes [B], target classes [B]."""
        side, batches = self.image_size, []
        for _ in range(count):
            images = torch.rand(batch_size, 3, side, side) * 2.0 - 1.0
            classes = (torch.randint(self.attributes, (batch_size,)) for _ in range(2))
            batches.append(tuple(values.to(self.device) for values in (images, *classes)))
        return batches

    def train_step(self, batches: list[tuple[torch.Tensor, ...]]) -> float:
        """Updates D on each batch and G on the last; returns G's loss."""
        for batch in batches:
            self._update_discriminator(*batch)
        return self._update_generator(*batches[-1])

    @torch.no_grad()
    def forward(self, batch: tuple[torch.Tensor, ...]) -> float:
        """Edits a batch and waits for the result; returns one value of it."""
        images, _, targets = batch
        return self.generator(images, self._codes(targets))[0, 0, 0, 0].item()

    def _codes(self, classes: torch.Tensor) -> torch.Tensor:
        return functional.one_hot(classes, self.attributes).float()

    def _update_discriminator(
        self, images: torch.Tensor, classes: torch.Tensor, targets: torch.Tensor
    ) -> None:
        realness, logits = self.discriminator(images)
        edited = self.generator(images, self._codes(targets)).detach()
        on_edited, _ = self.discriminator(edited)
        alpha = torch.rand(len(images), 1, 1, 1, device=self.device)
        between = (alpha * images + (1.0 - alpha) * edited).requires_grad_(True)
        loss = on_edited.mean() - realness.mean() + functional.cross_entropy(logits, classes)
        loss = loss + _PENALTY_WEIGHT * self._penalty(between)
        self._step(loss)

    def _penalty(self, between: torch.Tensor) -> torch.Tensor:
        scores, _ = self.discriminator(between)
        (slopes,) = torch.autograd.grad(scores.sum(), between, create_graph=True)
        return (slopes.flatten(1).norm(dim=1) - 1.0).square().mean()

    def _update_generator(
        self, images: torch.Tensor, classes: torch.Tensor, targets: torch.Tensor
    ) -> float:
        edited = self.generator(images, self._codes(targets))
        scores, logits = self.discriminator(edited)
        back = self.generator(edited, self._codes(classes))
        loss = functional.cross_entropy(logits, targets) - scores.mean()
        loss = loss + _RECONSTRUCTION_WEIGHT * (images - back).abs().mean()
        self._step(loss, of_generator=True)
        return loss.item()

    def _step(self, loss: torch.Tensor, of_generator: bool = False) -> None:
        for optimizer in self._optimizers:
            optimizer.zero_grad()
        loss.backward()
        self._optimizers[of_generator].step()
