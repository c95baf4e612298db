// Written by scripts/word-classes.mjs from the tables of Unicode 12.1; do not edit.

/**
 * Ranges of code points and the class of each: the letter of the class, the gap since the last range and, behind a
 * point, the length of the range unless it is 1; numbers in base 36.
 *
 *   A letter   P letter that is an emoji   H Hebrew letter   N digit   D ASCII digit   K katakana
 *   L M B      may stand between letters, between digits, between both   Q single quote   W double quote   U joins like _
 *   X extends the character before it   Z zero-width joiner   V key cap   E F text and emoji selectors
 *   G J        tag and end of tags   O emoji modifier   I emoji   R regional indicator   # base of a key cap
 *   S T        South East Asian character, mark   C ideograph   Y hiragana
 */
export const WORD_CLASS_RANGES = `
Wy #0 Q3 #2 M1 B1 D1.a L0 M0 A5.q U4 A1.q I1a A0 X2 I0 A6 L1 A2 A5.n A1.v A1.dc A6.7 A7.k X0.34 A0.5 A1.2
A2.4 M0 A0 A6 L0 A0.3 A1 A1.k A1.2b A1.3v X1.7 A0.4m A1.12 A2 A1.2 A1 A1.15 M0 X7.19 X1 X1.2 X1.2 X1 H8.r
H4.4 A0 L0 Xb.6 M6.2 X2.b X1 A3.17 X0.l N0.a N1 M0 A1.2 X0 A0.2r A1 X0.8 X1.6 A0.2 X0.2 X1.4 A0.2 N0.a A0.3
A2 Xf A0 X0 A0.u X0.r A2.2h X0.b A0 Ne.a A0.x X0.9 A0.2 M2 A1 X2 A2.m X0.4 A0 X0.9 A0 X0.3 A0 X0.5 Ai.p X0.3
A4.b A1h.l A1.8 Xl.1d A0.1i X0.3 A0 X0.i A0 X0.7 A0.a X0.2 N2.a A1.g X0.3 A1.8 A2.2 A2.m A1.7 A1 A3.4 X2 A0
X0.7 X2.2 X2.3 A0 X8 A4.2 A1.3 X0.2 N2.a A0.2 Aa X1 X2.3 A1.6 A4.2 A2.m A1.7 A1.2 A1.2 A1.2 X2 X1.5 X4.2
X2.3 X3 A7.4 A1 N7.a X0.2 A0.3 X0 Xb.3 A1.9 A1.3 A1.m A1.7 A1.2 A1.5 X2 A0 X0.8 X1.3 X1.3 A2 Af.2 X0.2 N2.a
A9 X0.6 X1.3 A1.8 A2.2 A2.m A1.7 A1.2 A1.5 X2 A0 X0.7 X2.2 X2.3 X8.2 A4.2 A1.3 X0.2 N2.a A1 Xg A0 A1.6 A3.3
A1.4 A3.2 A1 A1.2 A3.2 A3.3 A3.c X4.5 X3.3 X1.4 A2 X6 Ne.a Xg.5 A0.8 A1.3 A1.n A1.g A3 X0.7 X1.3 X1.4 X7.2
A1.3 A5.2 X0.2 N2.a Ag X0.3 A1.8 A1.3 A1.n A1.a A1.5 X2 A0 X0.7 X1.3 X1.4 X7.2 A7 A1.2 X0.2 N2.a A1.2 Xd.4
A1.8 A1.3 A1.15 X0.2 A0 X0.7 X1.3 X1.4 A0 A5.3 X0 A7.3 X0.2 N2.a Aa.6 X2.2 A1.i A3.o A1.9 A1 A2.7 X3 X4.6 X1
X1.8 N6.a X2.2 Sd.1c T0 S0.2 T0.7 S5.7 T0.8 N1.a S13.2 S1 S1.5 S1.o S1 S1.a T0 S0.2 T0.9 S0 S2.5 S1 T1.6
N2.a S2.4 Aw Xn.2 N6.a Xb X1 X1 X4.2 A0.8 A1.10 X4.k X1.2 A0.5 X0.b X1.10 X9 S1l.17 T0.k S0 N0.a S6.6 T0.4
S0.4 T0.3 S0 T0.3 S0.2 T0.7 S0.3 T0.4 S0.d T0.c S0 T0 N0.a T0.4 S0.2 A0.12 A1 A5 A2.17 A1.99 A1.4 A2.7 A1
A1.4 A2.15 A1.4 A2.x A1.4 A2.7 A1 A1.4 A2.f A1.1l A1.4 A2.1v X2.3 Aw.g Ag.2e A2.6 A3.h8 A2.h A1.q A5.23 A3.b
A7.d A1.4 X0.3 Ab.i X0.3 Ab.i X0.2 Ac.d A1.3 X1.2 Sc.1g T0.w S3 S4 T0 N2.a Xx.4 N1.a A6.2h A7.5 X0.2 A0.y X0
A0 A5.1y Aa.v X1.c X4.c Na.a S0.u S2.5 Sb.18 S4.q N6.a S0 S3.2 Aw.n X0.5 S4.1h T0.a T1.t X2 N0.a N6.a S6.e
X2.f X1t.5 A0.1b X0.h A0.7 N4.a Xh.9 Xc.3 A0.u X0.d A0.2 N0.a A0.18 X0.e Ac.10 X0.k N8.a A3.3 N0.a A0.10
A2.9 A7.17 A2.3 Xg.3 X1.l A0.4 X0 A0.6 X0 A0.2 X0.3 A0 A5.5c X0.1m X1.5 A0.7q A2.6 A2.12 A2.6 A2.8 A1 A1 A1
A1.v A2.1h A1.7 A1 A3.3 A1.7 A3.4 A2.6 A4.d A5.3 A1.7 Xf Z0 X0.2 B8.2 Ba L2 X2.5 U0 Ic U2.2 M3 I4 Ua Xb.5
X1.a A1 Ad Ag.d X1f.j V0 X0.d Ah A4 A2.a A1 A3.5 I4 A1 A1 A1 A1.4 A1.a P0 A2.4 A5.5 A4 Ah.15 Ib.6 If.2 Ia7.2
Ic I2n I1y Ip.b I4.3 A57.c P0 A0.13 I5c.2 Ia I9 I1m.4 I1.6 I1.c I1.36 Ia.3a I2.b I1 I1 I6 I3 I6 Ia.2 If I2
I4 I1 I4.3 I1 Ib.5 I19.3 I9 Ie Ie Iac.2 Icv.3 Ij.2 I1f I4 A4q.1b A1.1b A1.3p A6.4 X0.3 A0.2 Ac.12 A1 A5
A2.1k A7 Xf A0.n A9.7 A1.7 A1.7 A1.7 A1.7 A1.7 A1.7 A1.7 X1.w A1b C28.q C1.2h Cc.5y A1b C1 Cp.9 X0.6 I0 K0.5
C2.3 A0.2 I0 Y3.2e X2.2 K0.2 Y0.3 K0.2j K1.4 A5.17 A1.2m Ah.r K1h.g I47 I1 K1i.1b K1.2g C4o.52u C22.g6o
Ag.wd A1v.1a A2.7h A3.g N0.a A0.2 Ak.1b X0.4 X1.a A1.v X0.2 A0.28 X0.2 A11.4p A2.5 A1c.b X0 A0.3 X0 A0.4 X0
A0.n X0.5 Ao.1g Xc.2 A0.1e X0.i Na.a X6.i A0.6 A3 A1.2 X0 N0.a A0.s X0.8 A2.n X0.d Ac.t X3.4 A0.1b X0.e Ae
N0.a S6.5 T0 S0.a N0.a S0.5 A1.15 X0.e A9.3 X0 A0.8 X0.2 N2.a S6.r T0.3 S0.1e T0 S0 T0.3 S0.2 T0.2 S0.5 T0.2
S0 T0 S0 So.5 A0.b X0.5 A2.3 X0.2 Aa.6 A2.6 A2.6 A9.7 A1.7 A1.1k A8.37 X0.8 X1.2 N2.a A6.8mc Ac.n A4.1d
C6is.a6 C2.2y A12.7 Ac.5 H5 X0 H0.a H1.d H1.5 H1 H1.2 H1.2 H1.a A0.2q Ax.a3 Ai.1s A2.1i A14.c X4.e E0 F0 M0
L2 M0 Xb.g U3.2 Uo.3 M0 B1 M1 L0 Aq.5 A1.3r X2 B7 M4 B1 N1.a L0 M0 A5.q U4 A1.q Kb.1k X0.2 A0.v A3.6 A2.6
A2.6 A2.3 Xs.3 A4.c A1.q A1.j A1.2 A1.f A2.e Ay.3f A1x.1h X3s A3m.t A3.1d Xf Av.w Ad.u A5.12 X0.5 A5.u A2.10
A4.8 A1.5 A16.4e N2.a A6.10 A4.10 A4.14 A8.1g A4c.8n A9.m Aa.8 A48.6 A2 A1.18 A1.2 A3 A2.n Aa.n A9.v A1t.j
A1.2 Aa.m Aa.q A1y.1k A6.2 A1s X0.3 X1.2 X5.4 A0.4 A1.3 A1.t X2.3 X4 Aw.t A3.t Az.8 A1.s X0.2 Ap.1i Aa.m
Aa.j Ad.i A32.21 A1j.1f Ad.1f Ad.10 X0.4 N8.a Acm.t Aa A8.m X0.b A3z.n X9.3 A0.1h X0.f Nv.a Xf.4 A0.19 X0.b
X2 Xf A2.p N7.a X6.3 A0.10 X0.e N1.a A4 X0.2 A9.z X0 A2 X9.3 A0.1c X0.e A0.4 X4.4 N3.a A0 A1 Az.i A1.p X0.c
X6 A1t.7 A1 A1.4 A1.f A1.a A7.1b X0.c N5.a X6.4 A1.8 A2.2 A2.m A1.7 A1.2 A1.5 X1.2 A0 X0.7 X2.2 X2.3 A2 X6
A5.5 X0.2 X2.7 X3.5 A3v.1h X0.i A0.4 N5.a X4 A0 Aw.1c X0.k A0.2 A1 N8.a A4m.1b X0.7 X2.9 An.4 X0.2 Ay.1c
X0.h A3 Nb.a A12.17 X0.d A0 N7.a S1i.r T2.f N4.a S0.2 S3 A5c.18 X0.f A2t.1s N0.a Al A4g.8 A2.13 X0.7 X2.7 A0
A1 X0 Ar X0.a A0.14 X0.7 A0 X0.4 X8 A8 X0.b A0.1a X0.g A3 Ay.1l A7b.9 A1.11 X0.8 X1.8 A0 Nf.a Ao.u X2.m X1.e
A21.7 A1.2 A1.12 X0.6 X3 X1.2 X1.7 A0 X0 N8.a A6.6 A1.2 A1.w X0.5 X1.2 X1.5 A0 N7.a A8m.j X0.4 A7d.pm A2u.33
Ah.5g A24c.tr X1.9 A347.g7 A6nt.ft A7.v N1.a A2u.u X2.5 Ab.1c X0.7 A9.4 Nc.a A9.l A5.j Aj4.1s A3k.23 X4 A0
X0.1j X7.4 A0.d A1s.2 A1 Kcnw Y0.7y Y1d.3 Kh.4 A23c.2z A5.d A3.9 A7.a X3.2 X1.4 X43l.5 X3.m X2.7 Xu.4 X44.3
Acb.2d A1.1z A1.2 A2 A2.2 A2.4 A1.c A1 A1.7 A1.1t A1.4 A2.8 A1.7 A1.s A1.4 A1.5 A1 A3.7 A1.9g A2.p A1.p A1.v
A1.p A1.v A1.p A1.v A1.p A1.v A1.p A1.8 N2.1e Xe8.1j X4.1e X8 Xe Xm.5 X1.f X11s.7 X1.h X2.7 X1.2 X1.5 A5x.19
X3.7 A0.7 N2.a A4 Aa9.18 X0.4 N0.a Azq.5h Xb.7 A15.1w X0.7 A0 N4.a Ax2.4 A1.r A1.2 A1 A2 A1.a A1.4 A1 A1 A6
A4 A1 A1 A1.3 A1.2 A1 A2 A1 A1 A1 A1 A1.2 A1 A2.4 A1.7 A1.4 A1.4 A1 A1.a A1.h A5.3 A1.5 A1.h I90.74 Id.3 Iv
A0.q A6.q I2.4 P0.2 A0.c P0.2 A0.a I4 I2.a Ii.1l R0.q Y0 I0.f Ia Ik I2.9 I1.4 I9.c2 O0.5 I0.8u I8.7e I1c.3k
I38.c I2d.17 Ic.4 I1k.8 Ia.6 I14.8 Iu.2a Ic.1b I1.a I1.1br C2.wyf C15.379 Cb.66 C2.4g2 Ce.5rl C2e7.f2 Xfher
Gu.2n J0 X3k.6o
`;
