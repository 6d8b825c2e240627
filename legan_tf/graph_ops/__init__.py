"""Operations of graphs: pixels, resizing, convolutions and their gradients."""
