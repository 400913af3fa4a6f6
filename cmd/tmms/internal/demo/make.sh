#!/bin/sh
# Makes demo.flv, the picture that "tmms dev --demo" publishes: a clock hand, a
# dot per second, a flash with a beep, and moving bars. Everything is drawn here.
#
# The file is one turn of a seamless loop of 8 s: 200 pictures at 25/s (GOP 2 s,
# no B-frames) and 375 AAC frames of 1024 samples at 48 kHz, exactly as long.
# The audio is cut out of the middle of three turns, so that its first frame
# follows its last one in the decoder as if there were no seam.
#
# Needs ffmpeg with libx264 and the font DejaVu Sans (Debian: fonts-dejavu-core).
set -eu
cd "$(dirname "$0")"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

font=${FONT:-/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf}

# Registers: 0 distance from the dial's centre, 1 angle behind the hand (0..1),
# 2 the hand's tail, 3 rim and dots, 4 the flash, 5 a bar's phase, 6 in the bars.
common='st(0,hypot(X-320,Y-166));
st(1,mod(mod(T/2-0.25,1)-atan2(X-320,166-Y)/(2*PI)+2,1));
st(2,lt(ld(0),108)*pow(1-ld(1),5)*0.75);
st(3,max(0,1-abs(ld(0)-112)/2)+gt(cos(8*atan2(X-320,166-Y)),0.965)*max(0,1-abs(ld(0)-127)/7)
 *(0.25+0.75*lt(mod(atan2(X-320,166-Y)/(2*PI)*8+8.5-mod(floor(T+0.5),8)+8,8),1)));
st(4,exp(-mod(T+0.5,1)*7)*max(0,min(1,(34-ld(0))/3)));
st(5,2*PI*(X/640*2-T/4));
st(6,between(Y,318,337));'

# Each channel: moving background, hand, rim, flash; or the bars at the bottom.
r="$common (1-ld(6))*(min(255,22+14*sin(2*PI*(X/900+T/8))+ld(2)*60+ld(3)*205+ld(4)*255))+ld(6)*(130+110*sin(ld(5)))"
g="$common (1-ld(6))*(min(255,30+14*sin(2*PI*(Y/700-T/8))+ld(2)*215+ld(3)*215+ld(4)*215))+ld(6)*(130+110*sin(ld(5)+2.094))"
b="$common (1-ld(6))*(min(255,66+26*sin(2*PI*((X+Y)/1300+T/4))+ld(2)*175+ld(3)*235+ld(4)*90))+ld(6)*(130+110*sin(ld(5)+4.189))"

ffmpeg -v error -y -f lavfi -i "color=c=black:s=640x360:r=25:d=8,format=gbrp,
geq=r='$r':g='$g':b='$b',
drawtext=fontfile=$font:text='tmms':x=28:y=24:fontsize=44:fontcolor=white,
drawtext=fontfile=$font:text='live/demo':x=30:y=76:fontsize=19:fontcolor=0x8FD9C8,
drawtext=fontfile=$font:text='%{eif\:1+mod(floor(t+0.5)+7\,8)\:d}':x=580-tw/2:y=24:fontsize=44:fontcolor=white@0.85,
format=yuv420p" \
	-c:v libx264 -profile:v main -preset veryslow -tune animation -bf 0 -refs 2 -g 50 -keyint_min 50 -sc_threshold 0 \
	-flags +cgop -b:v 340k -maxrate 480k -bufsize 480k -threads 1 -bsf:v filter_units=remove_types=6 "$tmp/video.mp4"

ffmpeg -v error -y -f lavfi -i "aevalsrc=
exprs='0.4*sin(2*PI*(880+440*eq(mod(floor(t),8),7))*t)*between(mod(t,1),0.5,0.62)*sin(PI*(mod(t,1)-0.5)/0.12)':s=48000:d=24" \
	-ac 2 -c:a aac -b:a 64k "$tmp/audio.aac"

# Frame k of audio.aac decodes to the samples from (k-1)*1024 on: the second turn is frames 376 to 750.
ffmpeg -v error -y -i "$tmp/audio.aac" -c copy -bsf:a "noise=amount=0:drop='lt(n,376)+gt(n,750)'" "$tmp/turn.aac"
ffmpeg -v error -y -i "$tmp/turn.aac" -c copy -bsf:a aac_adtstoasc "$tmp/turn.m4a"
ffmpeg -v error -y -i "$tmp/video.mp4" -i "$tmp/turn.m4a" -map 0:v -map 1:a -c copy \
	-map_metadata -1 -fflags +bitexact -flags:v +bitexact -flags:a +bitexact -flvflags no_duration_filesize demo.flv
ls -l demo.flv
